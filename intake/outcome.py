"""What an import came to: how many rows, what became of each, and what is odd about them.

Every row that was read counts in exactly one of recorded, amended, unchanged, skipped and refused; flagged rows count
besides. The rows of a shipment count like any others. Nothing here repeats a value that could be personal, and
however many rows a hostile file has refused or flagged, so many are listed and the rest counted.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

SHOWN_LINES = 5
MOST_REFUSALS = 100_000
MOST_REASONS = 2_000
MORE_REASONS = "more is odd about them than can be listed"


class Refusal(msgspec.Struct, frozen=True):
    """A row that was not recorded: its line, the field, and the reason as a sentence. Line 0 is the whole file."""

    line: int
    field: str
    reason: str


class Group(msgspec.Struct):
    """Rows of which the same was found: how many, and the first lines."""

    rows: int = 0
    lines: list[int] = msgspec.field(default_factory=list)

    def add(self, line: int) -> None:
        """Take up a row."""
        self.rows += 1
        if len(self.lines) < SHOWN_LINES or line < self.lines[-1]:
            self.lines = sorted([*self.lines, line])[:SHOWN_LINES]


class Outcome(msgspec.Struct, kw_only=True):
    """The counts, the refusals, and for people the flags, what was left out, and the checks that did not hold."""

    read: int = 0
    recorded: int = 0
    amended: int = 0
    unchanged: int = 0
    flagged: int = 0
    skipped: int = 0
    refused: int = 0
    refusals: list[Refusal] = msgspec.field(default_factory=list)
    flags: dict[str, Group] = msgspec.field(default_factory=dict)
    left_out: dict[str, Group] = msgspec.field(default_factory=dict)
    failed_checks: list[str] = msgspec.field(default_factory=list)

    def refuse(self, line: int, field: str, reason: str) -> None:
        """A row was refused; `reason` is the end or the whole of a sentence."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append(Refusal(line, field, sentence(reason)))

    def skip(self, line: int, reason: str) -> None:
        """A row was left out."""
        self.skipped += 1
        self.left_out.setdefault(reason, Group()).add(line)

    def flag(self, line: int, reasons: Iterable[str]) -> None:
        """A row has something odd about it."""
        found = list(dict.fromkeys(reasons))
        self.flagged += bool(found)
        for reason in found:
            known = reason if reason in self.flags or len(self.flags) < MOST_REASONS else MORE_REASONS
            self.flags.setdefault(known, Group()).add(line)

    def in_order(self) -> None:
        """Put refusals in the order of the file (rows that share an identity came together), and flags in words.

        Where so many rows were refused that not all are listed, line 0 says how many more.
        """
        self.refusals.sort(key=lambda refusal: refusal.line)
        if self.refused > MOST_REFUSALS:
            more = f"{self.refused - MOST_REFUSALS} more rows were refused than are listed: mend these first"
            self.refusals.append(Refusal(0, "file", sentence(more)))
        self.flags = {sentence(reason): group for reason, group in self.flags.items()}

    def told(self) -> dict[str, Any]:
        """The answer for programs: exactly the keys that are promised."""
        return {
            "read": self.read,
            "recorded": self.recorded,
            "amended": self.amended,
            "unchanged": self.unchanged,
            "flagged": self.flagged,
            "skipped": self.skipped,
            "refused": self.refused,
            "refusals": [
                {"line": refusal.line, "field": refusal.field, "reason": refusal.reason} for refusal in self.refusals
            ],
        }


def sentence(reason: str) -> str:
    """A reason as a whole sentence."""
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
