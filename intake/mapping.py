"""The mapping: what the columns of a file mean, told in TOML by somebody who knows the file.

Every table is closed (`intake/cells.py`). What a mapping says of our own codes is checked before the first row is read
(`intake/meaning.py`). The descriptions under the keys are the reference page (`docs/reference/mappings.md`).
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from intake.cells import (
    CircumstanceFrom,
    CodedFrom,
    Condition,
    DayFrom,
    DocumentFrom,
    HsFrom,
    NumberFrom,
    PlateFrom,
    Said,
    Table,
    TextFrom,
    Words,
    listed,
)


class Source(Table):
    """Whose file it is, and how true its figures are."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./+-]{0,39}$")]
    """The source's name. Together with the identity it is the record's own: changed, everything is imported anew."""
    title: str = ""
    """What the file is, for people."""
    true_to_places: Annotated[int, Field(ge=0, le=24)] | None = None
    """To how many decimal places its amounts are true: amounts closer than half of that place are the same."""


class File(Table):
    """How the file is written. All of it may be left out."""

    format: Literal["csv", "json", "jsonl", "excel"] | None = None
    """The kind of file; without it, the file's name and first bytes decide. A `.gz` is opened as well."""
    encoding: str | None = None
    """The encoding, such as `windows-1250`; without it, a byte order mark decides, else UTF-8."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What separates the columns of a CSV; without it, it is found by the columns that the mapping names."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    """The quotation mark of a CSV; "" for none."""
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    """Lines (or Excel rows) above the header that are passed over."""
    header: bool | tuple[str, ...] = True
    """Whether there is a header; false names the columns #1, #2, ...; a list names them."""
    sheet: str | None = None
    """The sheet of an Excel file; without it, the first."""
    rows_at: str | None = None
    """Where in a JSON file the rows lie, such as `data.rows`; without it, the file itself is the array."""
    missing: Words = ()
    """Words that mean "not told" in every column that states none of its own. An empty cell is always missing."""


Conditions = Annotated[tuple[Condition, ...], Field(min_length=1), BeforeValidator(listed)]


class LeaveOut(Table):
    """Rows that are no seizures, such as a footer of totals; they count as skipped."""

    when: Conditions
    """The conditions, all of which must hold."""
    reason: Annotated[str, Field(min_length=1)]
    """Why such rows are left out, for people."""
    name: str | None = None
    """A name by which a check can refer to the row."""


class Flag(Table):
    """Rows that are recorded and pointed out."""

    reason: Annotated[str, Field(min_length=1)]
    """What is odd about them, for people; never words of the row."""
    when: Conditions | None = None
    """The conditions, all of which must hold."""
    first: DayFrom | None = None
    """A day that should not lie after `then`."""
    then: DayFrom | None = None
    """The day that should come after (or on) `first`."""

    @model_validator(mode="after")
    def _has_one_ground(self) -> "Flag":
        if (self.when is None) == (self.first is None) or (self.first is None) != (self.then is None):
            raise ValueError("a flag has either `when`, or both `first` and `then`")
        return self


class Check(Table):
    """A figure to reconcile against; where it does not hold, nothing is imported."""

    name: Annotated[str, Field(min_length=1)]
    """What is checked, for people."""
    rows: Annotated[int, Field(ge=0)] | None = None
    """How many rows there must be, not counting those left out."""
    sum: NumberFrom | None = None
    """The column to add up."""
    by: str | None = None
    """Add up for each word of this column apart."""
    equals: dict[str, str] | str | None = None
    """What the sum must be: a number with a point, or with `by` a table of them."""
    equals_left_out: str | None = None
    """The name of the left-out row that holds the sum, in the same column (and, with `by`, one row for each word)."""
    tolerance: str = "0"
    """By how much the sum may differ."""

    @model_validator(mode="after")
    def _has_one_figure(self) -> "Check":
        if (self.rows is None) == (self.sum is None):
            raise ValueError("a check has either `rows` or `sum`")
        if self.sum is not None and (self.equals is None) == (self.equals_left_out is None):
            raise ValueError("a sum is compared with `equals` or with `equals_left_out`")
        if isinstance(self.equals, dict) != (self.by is not None) and self.equals is not None:
            raise ValueError("with `by`, `equals` is a table of figures; without, it is one")
        return self


class Identity(Table):
    """What makes a row the same seizure when it is imported again."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """The columns that identify it. Not what is corrected later (amount, outcome): that would be a new record."""


class Shipment(Table):
    """Rows that belong to one seizure, a line of goods each."""

    key: Annotated[tuple[str, ...], Field(min_length=1)]
    """The columns that are equal in all rows of a shipment. They then identify it; a row without them stands alone."""
    missing: Words | None = None
    """Words that mean "no shipment number", in place of those of `[file]`."""


class PlaceOf(Table):
    """Where."""

    country: CircumstanceFrom
    """ISO 3166-1 alpha-2; XX for unknown."""
    locode: CircumstanceFrom | None = None
    """UN/LOCODE without the blank."""
    subdivision: CircumstanceFrom | None = None
    """ISO 3166-2."""
    local: CodedFrom | None = None
    """A place of a list of the source's own."""


class SeizureOf(Table):
    """The facts of the whole seizure."""

    kind: CircumstanceFrom
    """seizure, detention, surrender or find."""
    office: CircumstanceFrom
    """The customs office: capitals, digits and hyphens."""
    place: PlaceOf
    """Where."""
    occurred_on: DayFrom
    """The day."""
    direction: CircumstanceFrom | None = None
    """import, export, transit, ..."""
    detection: CircumstanceFrom | None = None
    """How it was found."""
    concealment: CircumstanceFrom | None = None
    """Where it was hidden."""
    conveyance: CircumstanceFrom | None = None
    """The means of transport."""
    route: Annotated[tuple[TextFrom, ...], BeforeValidator(listed)] = ()
    """The countries of the route, in order; those that are missing are left out."""


class QuantityOf(Table):
    """How much."""

    amount: NumberFrom
    """The amount."""
    unit: TextFrom
    """The unit: a code of UN/ECE Recommendation 20."""
    qualifier: TextFrom | None = None
    """measured, estimated, counted, laboratory or not-stated."""


class MoneyOf(Table):
    """How much it is worth, as stated."""

    amount: NumberFrom
    """The amount."""
    currency: TextFrom
    """ISO 4217."""


class GoodsOf(Table):
    """A line of goods. Several `[[goods]]` tables make several lines of one row, for files with a column per kind."""

    section: TextFrom
    """drugs, tobacco, wildlife, ...: the kind of contraband."""
    hs: HsFrom | None = None
    """The commodity code."""
    substance: CodedFrom | None = None
    """What it is, where a code list says more than the section."""
    description: CodedFrom | None = None
    """Form or make, of a code list."""
    origin: TextFrom | None = None
    """Country of origin."""
    quantity: QuantityOf | None = None
    """How much."""
    value: MoneyOf | None = None
    """How much it is worth."""
    outcome: TextFrom | None = None
    """What became of this line: seized, detained, cleared, ..."""
    outcome_on: DayFrom | None = None
    """The day on which that was decided."""
    needs: Words = ()
    """The line is told only where none of these columns is missing (or zero)."""


class Personal(Table):
    """What tells of persons or was typed by hand. It is kept sealed and never leaves for the CEN."""

    narrative: Annotated[tuple[Said, ...], BeforeValidator(listed)] = ()
    """Columns whose words, one below the other, are the narrative."""
    plates: Annotated[tuple[PlateFrom, ...], BeforeValidator(listed)] = ()
    """Where registration, hull and vehicle numbers stand."""
    documents: Annotated[tuple[DocumentFrom, ...], BeforeValidator(listed)] = ()
    """Where numbers of documents stand."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that tell of persons."""
        return frozenset(one.column for one in (*self.narrative, *self.plates, *self.documents))


class Mapping(Table):
    """A mapping."""

    source: Source
    """Whose file it is."""
    file: File = File()
    """How the file is written."""
    identity: Identity
    """What makes a row the same seizure when it is imported again."""
    shipment: Shipment | None = None
    """Rows that belong to one seizure."""
    seizure: SeizureOf
    """The facts of the whole seizure."""
    goods: Annotated[tuple[GoodsOf, ...], Field(min_length=1), BeforeValidator(listed)]
    """A line of goods (or several `[[goods]]`)."""
    personal: Personal = Personal()
    """What tells of persons or was typed by hand."""
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Named tables of what words mean, for `values = "name"`."""
    leave_out: Annotated[tuple[LeaveOut, ...], BeforeValidator(listed)] = ()
    """Rows that are no seizures."""
    flag: Annotated[tuple[Flag, ...], BeforeValidator(listed)] = ()
    """Rows that are recorded and pointed out."""
    check: Annotated[tuple[Check, ...], BeforeValidator(listed)] = ()
    """Figures to reconcile against."""
