"""Who acted, in which role, for what purpose and on what legal basis.

No command is accepted without all four (Directive (EU) 2016/680, articles 4 and 8). The attribution is kept beside the
event and hashed apart from it, so that an entry can be proven with or without showing who made it.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from domain.forms import form

UserId = Annotated[str, form(r"^[a-z0-9][a-z0-9._-]{0,31}$(?!\n)", "staff identifier, never a name")]
LegalBasis = Annotated[str, form(r"^[A-Z0-9][A-Z0-9.:/-]{1,39}$(?!\n)", "code of a statute or instrument")]


class Role(StrEnum):
    """The capacity in which somebody acts."""

    OFFICER = "officer"
    INVESTIGATOR = "investigator"
    ANALYST = "analyst"
    SUPERVISOR = "supervisor"
    CUSTODIAN = "custodian"
    DATA_MANAGER = "data-manager"
    CONTACT_POINT = "contact-point"
    DATA_PROTECTION_OFFICER = "data-protection-officer"
    AUDITOR = "auditor"
    LEGAL_OFFICER = "legal-officer"
    ADMINISTRATOR = "administrator"
    NODE = "node"


class Purpose(StrEnum):
    """What the data are processed for; a closed list, so that purposes can be compared across nodes."""

    PREVENTION = "prevention"
    DETECTION = "detection"
    INVESTIGATION = "investigation"
    PROSECUTION = "prosecution"
    ADMINISTRATION = "administration"
    STATISTICS = "statistics"
    EXCHANGE = "exchange"


class Attribution(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who acted, in which role, for what purpose, on what legal basis."""

    actor: UserId
    role: Role
    purpose: Purpose
    legal_basis: LegalBasis


class Occasion(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The circumstances of a command or entry: who acts (None where withheld) and when the ledger learns of it."""

    by: Attribution | None
    at: datetime

    @property
    def today(self) -> date:
        """The day on which it is recorded (UTC)."""
        return self.at.date()

    @property
    def actor(self) -> str | None:
        """Who acts, where that is known."""
        return self.by.actor if self.by else None
