"""What the CEN is told, event by event: pure, and out of open events alone.

A seizure is told once it has been put forward, again (under the same export id) whenever what it says changes, and is
withdrawn when it is cancelled; the same words are never sent twice. Nothing here can see that a personal event exists:
it is no argument, and neither positions, versions nor times of the ledger are.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import msgspec

from domain.notice import MOST_LINES, Cell, Facts, Notice, OpenSeizureEvent, learn, notice_of

SMALLEST_CELL = 3
"""With fewer seizures of a section in a place and year than this, place and day are told coarsely."""


class Kept(StrEnum):
    """Why nothing is told to the CEN: a closed list."""

    NOT_PUT_FORWARD = "not-put-forward"
    SAME = "same"
    CANCELLED = "cancelled"
    TOO_MANY_LINES = "too-many-lines"

    @property
    def sentence(self) -> str:
        """The reason as a whole sentence."""
        return SENTENCES[self]


SENTENCES: dict[Kept, str] = {
    Kept.NOT_PUT_FORWARD: "The seizure has not been put forward for validation, or was handed back for completion.",
    Kept.SAME: "What the CEN is told of the seizure does not change by this.",
    Kept.CANCELLED: "The seizure was cancelled, and the CEN was told so or never heard of it.",
    Kept.TOO_MANY_LINES: f"The seizure has more than {MOST_LINES} kinds of goods, which no notice can hold.",
}


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a seizure for the CEN: its open facts, its export id, and what was told last."""

    facts: Facts = Facts()
    export_id: UUID | None = None
    notice: Notice | None = None
    is_withdrawn: bool = False
    counted: frozenset[Cell] = frozenset()


Words: TypeAlias = tuple[UUID, Notice | None]
"""Export id and notice; None withdraws."""

Count: TypeAlias = Callable[[Cell], int]
"""How many seizures have been counted in a cell."""


def tell(
    told: Told, event: OpenSeizureEvent, count: Count, new_export_id: Callable[[], UUID]
) -> tuple[Told, Words | Kept]:
    """Fold an open event; answer with what the CEN is told, or why nothing.

    Cells that are in the answer's `counted` and were not before are to be counted up by one.
    """
    facts = learn(told.facts, event)
    known = msgspec.structs.replace(told, facts=facts)
    if facts.is_cancelled:
        return _withdrawn(known)
    if facts.stage is None:
        return known, Kept.NOT_PUT_FORWARD
    known = msgspec.structs.replace(known, counted=known.counted | facts.cells)
    notice = notice_of(facts, is_small_cell=is_small_cell(known, count, told.counted))
    kept = Kept.NOT_PUT_FORWARD if notice is None else _kept(notice, known.notice)
    if notice is None or kept is not None:
        return known, kept or Kept.NOT_PUT_FORWARD
    export_id = known.export_id or new_export_id()
    return msgspec.structs.replace(known, export_id=export_id, notice=notice), (export_id, notice)


def _withdrawn(known: Told) -> tuple[Told, Words | Kept]:
    if known.export_id is None or known.is_withdrawn:
        return known, Kept.CANCELLED
    return msgspec.structs.replace(known, is_withdrawn=True), (known.export_id, None)


def _kept(notice: Notice, told: Notice | None) -> Kept | None:
    if len(notice.lines) > MOST_LINES:
        return Kept.TOO_MANY_LINES
    return Kept.SAME if notice == told else None


def is_small_cell(known: Told, count: Count, counted: frozenset[Cell]) -> bool:
    """Whether a cell of the seizure holds too few; `counted` are the cells in which it is counted already."""
    cells = sorted(known.facts.cells, key=repr)  # a set has another order in each process, and it is asked until one is
    return any(count(cell) + (cell not in counted) < SMALLEST_CELL for cell in cells)
