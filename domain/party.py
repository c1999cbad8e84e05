"""A party: a person or business, by its record id, and the part it had in a case.

The category of data subject is assigned here, case by case, and never to the person itself (Directive (EU) 2016/680,
article 6).
"""

from uuid import UUID

import msgspec

from domain.codes import PartyRole, SubjectCategory


class Party(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A person or business, by its record id, and the part it had."""

    party: UUID
    is_business: bool = False
    role: PartyRole
    category: SubjectCategory | None = None
