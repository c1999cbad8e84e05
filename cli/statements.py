"""What is said of a person or business, told on the command line: the statements, and how each is known.

Every statement has its source; when nobody names one, it is the officer who acts. A grading keeps its scheme. What is
said is personal: nothing here prints it back.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Group, Parameter

from cli.asking import given
from cli.output import Misused
from domain.assertion import GradingScheme, StatementKind

KNOWN = Group("How it is known", sort_key=2)
OFFICER = "OFFICER"
_GRADING = re.compile(r"^(?:(?P<scheme>[a-z0-9]+):)?(?P<source>[A-GXa-gx])(?P<information>[1-6])$")


@Parameter(name="*", group=KNOWN)
@dataclass(frozen=True, kw_only=True, slots=True)
class HowKnown:
    """By which source something is said, how well graded, and as a fact or an assessment."""

    source: str | None = None
    """The source, as a code: OFFICER (who acts) when neither this nor --source-record is given."""
    source_record: UUID | None = None
    """The id of the record in which it was found."""
    assessment: bool = False
    """It is a judgement, not a fact; give its --basis."""
    grading: str | None = None
    """How source and information are graded, as B2 (admiralty) or 4x4:B2."""
    basis: str | None = None
    """On what it rests, in words."""
    valid_from: date | None = None
    """The first day on which it holds."""
    valid_until: date | None = None
    """The last day on which it holds."""

    def told(self) -> dict[str, object]:
        """The fields that every statement of the call shares."""
        is_unsourced = self.source is None and self.source_record is None
        return given(
            kind=StatementKind.ASSESSMENT if self.assessment else StatementKind.FACT,
            source=OFFICER if is_unsourced else self.source,
            source_record=self.source_record,
            grading=grading(self.grading) if self.grading else None,
            basis=self.basis,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
        )


NOTHING_KNOWN = HowKnown()

Names = Annotated[list[str] | None, Parameter(name="--name", help="A name, whole and as it was given. Repeatable.")]
Addresses = Annotated[list[str] | None, Parameter(name="--address", help="An address. Repeatable.")]
Contacts = Annotated[
    list[str] | None, Parameter(name="--contact", help="KIND:VALUE, as phone:+351 21 000. Repeatable.")
]


def statements(said: Iterable[dict[str, Any]], known: HowKnown) -> list[dict[str, object]]:
    """What was said, each with how it is known."""
    shared = known.told()
    return [{"said": one} | shared for one in said]


def grading(text: str) -> dict[str, object]:
    """A grading such as `B2`, in the admiralty scheme unless another is named."""
    found = _GRADING.match(text)
    if not found:
        raise Misused("--grading is a letter and a digit, as B2, or with its scheme, as 4x4:B2.")
    scheme = found["scheme"] or GradingScheme.ADMIRALTY
    return {"scheme": scheme, "source": found["source"].upper(), "information": found["information"]}


def coloned(text: str, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Values with colons between them, such as `passport:AB123456:PT`; those at the end may be left out."""
    first, *rest = text.split(":", len(names) - 1)
    if not first or not rest:
        raise Misused(f"{what} is told as {':'.join(name.upper() for name in names)}.")
    return dict(zip(names, (first, *rest), strict=False))


def kinded(text: str, what: str, kinds: Iterable[str]) -> tuple[str, str]:
    """A kind and the rest, such as `phone:+351 21 000`."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in set(kinds) or not rest:
        raise Misused(f"{what} is told as KIND:VALUE, with one of {', '.join(kinds)} as its kind.")
    return kind, rest
