"""Particulars of an offence: how far it has come, which way it may go on, and what was imposed."""

from datetime import date
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.quantity import Money

KIND = "offence"
MOST_SEIZURES = 1_000
MOST_PENALTIES = 1_000

Number = Annotated[int, Meta(ge=1, description="penalty number, counted from 1 within the offence")]


class OffenceStatus(StrEnum):
    """How far an offence has come."""

    DETECTED = "detected"
    ESTABLISHED = "established"
    PROSECUTED = "prosecuted"
    SETTLED = "settled"
    DECIDED = "decided"
    ACQUITTED = "acquitted"
    CLOSED = "closed"


MOVES: dict[OffenceStatus, tuple[OffenceStatus, ...]] = {
    OffenceStatus.DETECTED: (OffenceStatus.ESTABLISHED, OffenceStatus.CLOSED),
    OffenceStatus.ESTABLISHED: (OffenceStatus.PROSECUTED, OffenceStatus.SETTLED, OffenceStatus.CLOSED),
    OffenceStatus.PROSECUTED: (
        OffenceStatus.SETTLED,
        OffenceStatus.DECIDED,
        OffenceStatus.ACQUITTED,
        OffenceStatus.CLOSED,
    ),
    OffenceStatus.SETTLED: (
        OffenceStatus.PROSECUTED,
        OffenceStatus.DECIDED,
        OffenceStatus.ACQUITTED,
        OffenceStatus.CLOSED,
    ),
    OffenceStatus.DECIDED: (OffenceStatus.CLOSED,),
    OffenceStatus.ACQUITTED: (OffenceStatus.CLOSED,),
    OffenceStatus.CLOSED: (),
}
"""Where an offence may go from where it is. A settlement that is not kept leads back to prosecution; proceedings may be
dropped (closed) at any point; what was entered by mistake goes back one step."""


class PenaltyKind(StrEnum):
    """What was imposed."""

    FINE = "fine"
    SETTLEMENT = "settlement"
    DUTY_RECOVERY = "duty-recovery"
    CONFISCATION = "confiscation"
    CUSTODY = "custody"
    SUSPENDED_CUSTODY = "suspended-custody"
    COMMUNITY_SERVICE = "community-service"
    LICENCE_WITHDRAWAL = "licence-withdrawal"
    WARNING = "warning"
    OTHER = "other"


class Penalty(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A penalty: its kind, and its amount or its length, where it has one."""

    kind: PenaltyKind
    amount: Money | None = None
    days: Annotated[int, Meta(ge=1, le=36_525)] | None = None
    imposed_on: date | None = None
