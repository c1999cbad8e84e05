"""What the rows of one identity tell: a seizure for each row, or one seizure of all of them where they are a shipment.

The rows of a shipment must agree on the circumstances, except where the mapping says which of several codes counts; a
row that is refused refuses its shipment, since a shipment without one of its lines would be another shipment. What is
odd is noted, never refused.
"""

from collections.abc import Iterator, Sequence

import msgspec

from domain.attribution import Occasion
from domain.flags import FlagCode, flags
from domain.goods import GoodsLine
from domain.seizure import CIRCUMSTANCES, RecordSeizure, Seizure
from intake.cells import CircumstanceFrom
from intake.conditions import holds
from intake.keys import is_shipment
from intake.mapping import Flag, Mapping
from intake.meaning import Meaning
from intake.outcome import Outcome
from intake.reading import Cells, Columns, Notes, Unfit, day_reader
from intake.rows import Row
from intake.survey import Bundle

FLAGGED = {
    FlagCode.DAYS_OUT_OF_ORDER: "the day of the outcome lies before the day of the seizure",
    FlagCode.CONTAINER_NUMBER: "the check digit of a container number does not fit",
    FlagCode.SHIP_NUMBER: "the check digit of a ship's number does not fit",
    FlagCode.UNUSUAL_UNIT: "the unit is unusual for goods of this section",
    FlagCode.DUPLICATE_LINE: "two lines of the shipment tell the same",
}


class Telling(msgspec.Struct, gc=False):
    """What one or several rows tell of one seizure."""

    lines: list[int]
    facts: RecordSeizure


class TellingRows:
    """Makes tellings of bundles, noting refusals and flags in the outcome."""

    def __init__(self, mapping: Mapping, meaning: Meaning, occasion: Occasion, outcome: Outcome) -> None:
        """Make the mapping's own flags ready."""
        self._meaning, self._occasion, self._outcome = meaning, occasion, outcome
        self._prefer = {
            name: told.prefer
            for name in CIRCUMSTANCES
            if isinstance(told := getattr(mapping.seizure, name), CircumstanceFrom)
        }
        self._flags = [_FlagRule(rule, meaning.columns) for rule in mapping.flag]

    def of(self, bundle: Bundle) -> list[Telling]:
        """The tellings of a bundle, in the order of its rows."""
        told = list(self._read(bundle.rows))
        if not is_shipment(bundle.key) or len(bundle.rows) == 1:
            return [Telling([row.line], facts) for row, facts in told]
        if len(told) < len(bundle.rows):
            refused = {row.line for row in bundle.rows} - {row.line for row, _ in told}
            return self._refused(told, "shipment", f"another row of its shipment was refused (line {min(refused)})")
        try:
            return [Telling([row.line for row in bundle.rows], self._merged([facts for _, facts in told]))]
        except Unfit as unfit:
            return self._refused(told, unfit.field, unfit.reason)

    def _refused(self, told: Sequence[tuple[Row, RecordSeizure]], field: str, reason: str) -> list[Telling]:
        for row, _ in told:
            self._outcome.refuse(row.line, field, reason)
        return []

    def _read(self, rows: Sequence[Row]) -> Iterator[tuple[Row, RecordSeizure]]:
        seen: dict[tuple[str, ...], int] = {}
        for row in rows:
            notes: Notes = []
            try:
                facts = self._meaning.tell(row.cells, notes, self._occasion)
            except Unfit as unfit:
                self._outcome.refuse(row.line, unfit.field, unfit.reason)
                continue
            odd = [reason for _, reason in notes]
            odd.extend(rule.reason for rule in self._flags if rule.applies(row.cells))
            odd.extend(FLAGGED[flag.code] for flag in flags(_as_state(facts)) if flag.code in FLAGGED)
            if len(rows) > 1 and seen.setdefault(tuple(row.cells), row.line) != row.line:
                odd.append("the row repeats an earlier one of the file word for word")
            if odd:
                self._outcome.flag(row.line, odd)
            yield row, facts

    def _merged(self, told: Sequence[RecordSeizure]) -> RecordSeizure:
        """One seizure of the rows of a shipment, the same in whatever order they stand."""
        first = told[0]
        return msgspec.structs.replace(
            first,
            **{name: self._agreed(name, [getattr(facts, name) for facts in told]) for name in CIRCUMSTANCES},
            goods=tuple(goods for facts in told for goods in facts.goods),
            narrative="\n".join(sorted({facts.narrative for facts in told if facts.narrative})) or None,
            plates=tuple(sorted({plate for facts in told for plate in facts.plates}, key=str)),
            documents=tuple(sorted({document for facts in told for document in facts.documents}, key=str)),
        )

    def _agreed(self, name: str, told: Sequence[object]) -> object:
        if all(value == told[0] for value in told):
            return told[0]
        if name == "route":
            return tuple(sorted({country for route in told if isinstance(route, tuple) for country in route}))
        for code in self._prefer.get(name, ()):
            if code in (said := {str(value): value for value in told}):
                return said[code]
        raise Unfit(name, "the rows of its shipment tell different things: is the key of [shipment] complete?")


class _FlagRule:
    """A flag of the mapping's own."""

    def __init__(self, told: Flag, columns: Columns) -> None:
        self.reason = told.reason
        self._when = holds(told.when, columns) if told.when is not None else None
        self._days = [day_reader(day, "flag", columns) for day in (told.first, told.then) if day is not None]

    def applies(self, cells: Cells) -> bool:
        """Whether a row is to be pointed out."""
        if self._when is not None:
            return self._when(cells)
        try:
            first, then = (read(cells, []) for read in self._days)
        except Unfit:
            return False
        return first is not None and then is not None and then < first


def _as_state(facts: RecordSeizure) -> Seizure:
    """The facts as they will stand, as far as flags look at them."""
    return Seizure(
        occurred_on=facts.occurred_on,
        conveyance=facts.conveyance,
        goods=tuple(GoodsLine(line=number, goods=goods) for number, goods in enumerate(facts.goods, start=1)),
        plates=facts.plates,
        documents=facts.documents,
    )
