"""What a row means: the facts of a seizure, made by readers that a mapping and the file's columns determine.

Everything that the mapping states of our own codes is checked here, before the first row. A coded field never takes
words of a column that also feeds the narrative, unless through a table of values: what was typed by hand stays sealed.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import msgspec

from domain import forms
from domain.attribution import Occasion
from domain.codes import (
    Coded,
    CodeValue,
    Concealment,
    ConveyanceKind,
    CountryCode,
    CurrencyCode,
    Detection,
    Direction,
    DocumentKind,
    Edition,
    HsCode,
    HsDigits,
    Line,
    ListName,
    OfficeCode,
    Outcome,
    Qualifier,
    Section,
    SeizureKind,
    SubdivisionCode,
    Text,
    UnitCode,
    UnLocode,
)
from domain.day import require_past
from domain.goods import Goods
from domain.quantity import Money, Quantity
from domain.refused import Refused
from domain.seizure import Document, Place, Plate, RecordSeizure
from intake import patterns, reference
from intake.cells import CellFrom, CodedFrom, HsFrom, PlateFrom, Said, Table, TextFrom
from intake.mapping import GoodsOf, Mapping, MoneyOf, PlaceOf, QuantityOf
from intake.mapping_file import MappingError
from intake.reading import (
    Cells,
    Columns,
    Note,
    Notes,
    Reader,
    Unfit,
    code_of,
    code_reader,
    day_reader,
    folded,
    number_reader,
    remembered,
)
from intake.rows import tidy

CIRCUMSTANCES: dict[str, Any] = {
    "kind": SeizureKind,
    "office": OfficeCode,
    "direction": Direction,
    "detection": Detection,
    "concealment": Concealment,
    "conveyance": ConveyanceKind,
}
MOST_NUMBERS = 100


class Meaning:
    """The facts that rows of one file tell, by one mapping."""

    def __init__(self, mapping: Mapping, names: Sequence[str], where: str) -> None:
        """Make the readers; `where` is how messages call the mapping.

        Raises:
            MappingError: the file lacks columns, or the mapping states what is no code, or would tell words openly.
        """
        self.columns = Columns(names, mapping, where)
        _require_columns(mapping, self.columns)
        _require_closed(mapping, where)
        self._mapping, seizure = mapping, mapping.seizure
        self._readers = {
            name: self._reader(told, name, kind)
            for name, kind in CIRCUMSTANCES.items()
            if (told := getattr(seizure, name)) is not None
        }
        self._place = self._place_reader(seizure.place)
        self._day = day_reader(seizure.occurred_on, "occurred_on", self.columns)
        self._route = [self._reader(told, "route", CountryCode, reference.country) for told in seizure.route]
        self._goods = [self._goods_reader(told) for told in mapping.goods]
        self._narrative = self._narrative_reader(mapping.personal.narrative)
        self._plates = [self._number_reader(told, "plates") for told in mapping.personal.plates]
        self._documents = [
            (self._document_kind(told.kind), self._number_reader(told, "documents"))
            for told in mapping.personal.documents
        ]

    def tell(self, cells: Cells, notes: Notes, occasion: Occasion) -> RecordSeizure:
        """The facts that a row tells; what is odd about them is added to `notes`.

        Raises:
            Unfit: a cell does not fit its field.
        """
        told = {name: read(cells, notes) for name, read in self._readers.items()}
        return RecordSeizure(
            **{name: value for name, value in told.items() if value is not None}
            | {"kind": _required(told["kind"], "kind"), "office": _required(told["office"], "office")},
            place=self._place(cells, notes),
            occurred_on=self._past_day(cells, notes, occasion),
            route=tuple(country for read in self._route if (country := read(cells, notes)) is not None),
            goods=self._lines(cells, notes),
            source=self._mapping.source.name,
            narrative=self._narrative(cells),
            plates=self._told_plates(cells, notes),
            documents=self._told_documents(cells, notes),
        )

    # ------------------------------------------------------------ circumstances

    def _reader(self, told: TextFrom, field: str, kind: Any, note: Note | None = None) -> Reader[Any]:  # noqa: ANN401  # a type of a field
        return code_reader(told, field, code_of(kind), self.columns, note)

    def _past_day(self, cells: Cells, notes: Notes, occasion: Occasion) -> date:
        day: date = _required(self._day(cells, notes), "occurred_on")
        try:
            require_past(day, "the seizure", occasion)
        except Refused as error:
            raise Unfit("occurred_on", str(error).rstrip(".")) from None
        return day

    def _place_reader(self, told: PlaceOf) -> Callable[[Cells, Notes], Place]:
        country = self._reader(told.country, "place.country", CountryCode, reference.country)
        parts: dict[str, Reader[Any]] = {}
        if told.locode is not None:
            parts["locode"] = self._reader(told.locode, "place.locode", UnLocode)
        if told.subdivision is not None:
            parts["subdivision"] = self._reader(
                told.subdivision, "place.subdivision", SubdivisionCode, reference.subdivision
            )
        if told.local is not None:
            parts["local"] = self._coded_reader(told.local, "place.local")

        def read(cells: Cells, notes: Notes) -> Place:
            return Place(
                country=_required(country(cells, notes), "place.country"),
                **{name: reader(cells, notes) for name, reader in parts.items()},
            )

        return read

    def _coded_reader(self, told: CodedFrom, field: str) -> Reader[Coded]:
        self._require_code(told.list, ListName, f"{field}.list")
        self._require_code(told.edition, Edition, f"{field}.edition")
        check = code_of(CodeValue)
        return code_reader(
            told, field, lambda text: Coded(list=told.list, edition=told.edition, code=check(text)), self.columns
        )

    def _require_code(self, text: str, kind: Any, field: str) -> None:  # noqa: ANN401  # a type of a field
        try:
            code_of(kind)(text)
        except ValueError as error:
            raise MappingError(f"{self.columns.where}: {field}: “{text}” {error}.") from None

    # ------------------------------------------------------------ goods

    def _lines(self, cells: Cells, notes: Notes) -> tuple[Goods, ...]:
        lines = tuple(goods for read in self._goods if (goods := read(cells, notes)) is not None)
        if not lines:
            raise Unfit("goods", "the row tells no line of goods")
        return lines

    def _goods_reader(self, told: GoodsOf) -> Reader[Goods]:
        coded: dict[str, Reader[Any]] = {
            name: self._coded_reader(one, name)
            for name in ("substance", "description")
            if (one := getattr(told, name)) is not None
        }
        if told.hs is not None:
            coded["hs"] = self._hs_reader(told.hs)
        if told.origin is not None:
            coded["origin"] = self._reader(told.origin, "origin", CountryCode, reference.country)
        if told.outcome is not None:
            coded["outcome"] = self._reader(told.outcome, "outcome", Outcome)
        if told.outcome_on is not None:
            coded["outcome_on"] = day_reader(told.outcome_on, "outcome_on", self.columns)
        if told.quantity is not None:
            coded["quantity"] = self._quantity_reader(told.quantity)
        if told.value is not None:
            coded["value"] = self._money_reader(told.value)
        section = self._reader(told.section, "section", Section)
        is_told = self._needs(told.needs)

        def read(cells: Cells, notes: Notes) -> Goods | None:
            if not is_told(cells):
                return None
            return Goods(
                section=_required(section(cells, notes), "section"),
                **{name: reader(cells, notes) for name, reader in coded.items()},
            )

        return read

    def _needs(self, names: Sequence[str]) -> Callable[[Cells], bool]:
        places, missing = [self.columns.place(name) for name in names], self.columns.missing(None)
        if not places:
            return lambda _cells: True
        return lambda cells: all(
            cells[place].strip(" 0.,-") and folded(cells[place]) not in missing for place in places
        )

    def _hs_reader(self, told: HsFrom) -> Reader[HsCode]:
        self._require_code(told.edition, Edition, "hs.edition")
        check = code_of(HsDigits)
        return code_reader(
            told,
            "hs",
            lambda text: HsCode(edition=told.edition, digits=check(text)),
            self.columns,
            lambda hs: reference.hs(hs.digits),
        )

    def _quantity_reader(self, told: QuantityOf) -> Reader[Quantity]:
        amount = number_reader(told.amount, "quantity.amount", self.columns)
        unit = self._reader(told.unit, "quantity.unit", UnitCode, reference.unit)
        qualifier = told.qualifier and self._reader(told.qualifier, "quantity.qualifier", Qualifier)

        def read(cells: Cells, notes: Notes) -> Quantity | None:
            found = amount(cells, notes)
            if found is None:
                return None
            return Quantity(
                amount=found[0],
                written=found[1],
                unit=_required(unit(cells, notes), "quantity.unit"),
                qualifier=(qualifier and qualifier(cells, notes)) or Qualifier.NOT_STATED,
            )

        return read

    def _money_reader(self, told: MoneyOf) -> Reader[Money]:
        amount = number_reader(told.amount, "value.amount", self.columns, may_be_zero=True)
        currency = self._reader(told.currency, "value.currency", CurrencyCode, reference.currency)

        def read(cells: Cells, notes: Notes) -> Money | None:
            found = amount(cells, notes)
            if found is None:
                return None
            return Money(
                amount=found[0], written=found[1], currency=_required(currency(cells, notes), "value.currency")
            )

        return read

    # ------------------------------------------------------------ what tells of persons

    def _words(self, told: Said | PlateFrom) -> Callable[[Cells], str]:
        place, missing, remove = self.columns.place(told.column), self.columns.missing(told.missing), told.remove

        def said(text: str) -> str:
            text = text.replace("\r\n", "\n").strip()
            for part in remove:
                text = text.replace(part, "").strip()
            return "" if folded(text) in missing else text

        look = remembered(said)
        return lambda cells: look(cells[place])

    def _narrative_reader(self, told: Sequence[Said]) -> Callable[[Cells], str | None]:
        parts = [(f"{one.label}: " if one.label else "", self._words(one)) for one in told]

        def read(cells: Cells) -> str | None:
            said = "\n".join(label + text for label, words in parts if (text := words(cells)))
            if not said:
                return None
            try:
                return forms.convert(said, Text)
            except msgspec.ValidationError:
                raise Unfit(
                    "narrative", "the words are longer than 10,000 characters or hold control or direction characters"
                ) from None

        return read

    def _number_reader(self, told: PlateFrom, field: str) -> Callable[[Cells, Notes], list[tuple[str, str | None]]]:
        words = self._words(told)
        find = patterns.finder(told.pattern) if told.pattern is not None else None
        country = told.country and self._reader(told.country, f"{field}.country", CountryCode, reference.country)

        def read(cells: Cells, notes: Notes) -> list[tuple[str, str | None]]:
            text = words(cells)
            if not text:
                return []
            numbers = list(dict.fromkeys(find(text) if find is not None else [tidy(text)]))
            try:
                told_numbers = forms.convert(numbers, list[Line])
            except msgspec.ValidationError:
                raise Unfit(
                    field, "a number is longer than 200 characters or holds control or direction characters"
                ) from None
            where = (country and country(cells, notes)) or None
            return [(number, where) for number in told_numbers]

        return read

    def _document_kind(self, text: str) -> DocumentKind:
        self._require_code(text, DocumentKind, "documents.kind")
        return DocumentKind(text)

    def _told_plates(self, cells: Cells, notes: Notes) -> tuple[Plate, ...]:
        if not self._plates:
            return ()
        told = [Plate(number=number, country=where) for read in self._plates for number, where in read(cells, notes)]
        return tuple(dict.fromkeys(told))[:MOST_NUMBERS]

    def _told_documents(self, cells: Cells, notes: Notes) -> tuple[Document, ...]:
        if not self._documents:
            return ()
        told = [
            Document(kind=kind, number=number, country=where)
            for kind, read in self._documents
            for number, where in read(cells, notes)
        ]
        return tuple(dict.fromkeys(told))[:MOST_NUMBERS]


def _required(value: Any, field: str) -> Any:  # noqa: ANN401  # whatever a reader gave
    if value is None:
        raise Unfit(field, "is missing")
    return value


def cells_of(table: Table) -> Iterator[tuple[str, CellFrom]]:
    """Every key of a mapping that reads cells, with its place."""
    for name in type(table).model_fields:
        value = getattr(table, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, CellFrom):
                yield name, one
            elif isinstance(one, Table):
                yield from ((f"{name}.{inner}", cell) for inner, cell in cells_of(one))


def columns_of(mapping: Mapping) -> list[str]:
    """Every column that a mapping names."""
    named = [column for _, cell in cells_of(mapping) for column in cell.reads]
    named += [*mapping.identity.columns, *(mapping.shipment.key if mapping.shipment else ()), *mapping.personal.columns]
    named += [column for goods in mapping.goods for column in goods.needs]
    named += [one.column for rule in mapping.leave_out for one in rule.when]
    named += [one.column for rule in mapping.flag for one in rule.when or ()]
    named += [check.by for check in mapping.check if check.by is not None]
    return list(dict.fromkeys(named))


def _require_columns(mapping: Mapping, columns: Columns) -> None:
    lacking = columns.lacking(columns_of(mapping))
    if lacking:
        names = ", ".join(f"`{name}`" for name in lacking)
        raise MappingError(
            f"{columns.where}: the file has no column {names}. If it has another header, or none, or the header is not "
            "its first line, state `skip_lines`, `header`, `delimiter` or `encoding` in [file]."
        )


def _require_closed(mapping: Mapping, where: str) -> None:
    private = frozenset(map(tidy, mapping.personal.columns))
    for place, cell in cells_of(mapping):
        if not isinstance(cell, TextFrom) or not private & frozenset(map(tidy, cell.reads)):
            continue
        if cell.values is None or cell.unmapped == "as given":
            raise MappingError(
                f"{where}: [{place}] would tell openly what `{cell.reads[0]}` holds, which is also told under "
                "[personal]: give it a table of `values`, so that only known words become codes."
            )
