"""A loss: a part of the ledger is gone, and it was acknowledged by whom, for what cause, and from where to where.

The entry stands at the beginning of the history that goes on, so that whoever reads it sees that something is missing.
What proves it is the statement of succession of the ledger's key, which it names by its serial; words on the reason lie
beside that, since words may name somebody.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias, assert_never
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from domain.attribution import Occasion
from domain.codes import NodeCode
from domain.event import Command, Erased, Event
from domain.refused import Refused

KIND = "loss"
NAMESPACE = UUID("6e63656e-6c6f-8573-8000-000000000001")

Serial = Annotated[int, Meta(ge=1, le=999_999)]
Size = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class LossCause(StrEnum):
    """Why a part of the history was lost."""

    MEDIA_FAILURE = "media-failure"
    SOFTWARE_FAULT = "software-fault"
    OPERATOR_ERROR = "operator-error"
    SECURITY_INCIDENT = "security-incident"
    EARLIER_POINT_WANTED = "earlier-point-wanted"
    NOT_KNOWN = "not-known"


def record_id_of(node: NodeCode, statement: Serial) -> UUID:
    """The record of a loss at a node: it is acknowledged once."""
    return uuid5(NAMESPACE, f"{node}/{statement}")


class LossAcknowledged(Event, frozen=True, kw_only=True, tag="loss.acknowledged"):
    """It was acknowledged that entries which had been signed for were lost."""

    statement: Serial
    kept: Size
    lost: Size
    cause: LossCause


LossEvent: TypeAlias = LossAcknowledged


class AcknowledgeLoss(Command, frozen=True, kw_only=True, tag="acknowledge-loss"):
    """Acknowledge that what was signed beyond a size was lost, by the statement of this serial."""

    statement: Serial
    kept: Size
    lost: Size
    cause: LossCause


LossCommand: TypeAlias = AcknowledgeLoss


class Loss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A loss as it stands on record."""

    statement: int = 0
    kept: int = 0
    lost: int = 0
    cause: LossCause = LossCause.NOT_KNOWN


def decide(loss: Loss | None, command: LossCommand, _occasion: Occasion) -> tuple[LossEvent, ...]:
    """Answer a command with what happens: an event, none (it is on record), or Refused."""
    if command.lost <= command.kept:
        raise Refused("Nothing was lost: the size that was signed last is not larger than the one that was kept.")
    if loss is not None:
        return ()
    told = LossAcknowledged(statement=command.statement, kept=command.kept, lost=command.lost, cause=command.cause)
    return (told,)


def evolve(loss: Loss | None, event: LossEvent | Erased, _occasion: Occasion) -> Loss:
    """The loss after an event; it never fails, since what happened, happened."""
    match event:
        case LossAcknowledged(statement=statement, kept=kept, lost=lost, cause=cause):
            return Loss(statement=statement, kept=kept, lost=lost, cause=cause)
        case Erased():
            return loss or Loss()
        case _:
            assert_never(event)
