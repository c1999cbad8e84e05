"""Where values stand in a file and how they are written: the small tables that a mapping is made of.

Every table is closed: an unknown key is refused, so that a slip of the pen is never silently ignored. A bare text is
short for a column. The descriptions under the keys are the reference page (`docs/reference/mappings.md`).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from intake import dates, patterns


class Table(BaseModel):
    """A table of the mapping: closed, and never changed after it was read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


def listed(value: object) -> object:
    """A single text or table where a list may stand, as a list of one."""
    return [value] if isinstance(value, dict | str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(listed)]


class CellFrom(Table):
    """Where a value stands in the file. A bare text, `origin = "pays"`, is short for `{ column = "pays" }`."""

    column: str | None = None
    """The column, by its name in the header (or `#3` for the third)."""
    columns: tuple[str, ...] | None = None
    """Several columns whose words are put together; where one of them is missing, the value is missing."""
    join: str = " "
    """What stands between the words of several columns."""
    constant: str | None = None
    """The same value for every row, in place of a column."""
    missing: Words | None = None
    """Words that mean "not told" in this column, in place of those of `[file]`. An empty cell is always missing."""

    @model_validator(mode="before")
    @classmethod
    def _may_be_short(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one_source(self) -> "CellFrom":
        if sum(told is not None for told in (self.column, self.columns, self.constant)) != 1:
            raise ValueError("say where the value comes from: one of `column`, `columns` and `constant`")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,) if self.column is not None else tuple(self.columns or ())


class TextFrom(CellFrom):
    """A code, taken from a cell in this order: missing, pattern, remove, replace, case, pad_zeros, values, prefix."""

    pattern: str | None = None
    """A regular expression with bounded repetitions; its group (or the whole match) is taken. No match is missing."""
    remove: Words = ()
    """Texts that are taken out, such as the dots of a commodity code."""
    replace: dict[str, str] = {}
    """Texts that are replaced by others."""
    case: Literal["upper", "lower"] | None = None
    """Turn the letters into capitals or small letters."""
    pad_zeros: Annotated[int, Field(ge=1, le=40)] | None = None
    """Put zeros in front until the text is this long: for codes that a spreadsheet robbed of their leading zero."""
    values: dict[str, str] | str | None = None
    """What the file's words mean: a table, or the name of one under `[values]`. An empty meaning is "not told"."""
    unmapped: Literal["refuse", "leave out", "as given"] = "refuse"
    """What to do with a word that `values` does not hold: refuse the row, tell nothing, or take it as the code."""
    default: str | None = None
    """The code for a word that `values` does not hold, in place of `unmapped`; "" is "not told"."""
    if_missing: str | None = None
    """The code where the cell is missing."""
    prefix: str = ""
    """Put in front of the code, except of `if_missing` and `default`."""

    @model_validator(mode="after")
    def _is_sensible(self) -> "TextFrom":
        if self.pattern is not None:
            patterns.finder(self.pattern)
        if self.values is None and (self.default is not None or "unmapped" in self.model_fields_set):
            raise ValueError(
                "`unmapped` and `default` say what to do where `values` lacks a word: there are no `values`"
            )
        if self.default is not None and "unmapped" in self.model_fields_set:
            raise ValueError("give `default` or `unmapped`, not both")
        return self


class CircumstanceFrom(TextFrom):
    """A code that holds of all lines of a shipment."""

    prefer: tuple[str, ...] = ()
    """Which code counts where the rows of one shipment tell several: the first of this list that is told."""


class CodedFrom(CircumstanceFrom):
    """A value of an open code list. Never point it at words typed by hand: coded fields name no one and travel."""

    list: str
    """The name of the code list: capitals, digits and hyphens."""
    edition: str
    """The edition of the list: a year, or a date."""


class HsFrom(TextFrom):
    """A commodity code of the Harmonized System; dots and blanks are taken out."""

    edition: str
    """The edition of the Harmonized System: 2017 is not 2022."""
    remove: Words = (".", " ")
    """Texts that are taken out."""


class DayFrom(CellFrom):
    """A day of the calendar, as it is written; a day that a spreadsheet holds as one needs no format."""

    formats: Words = ("YYYY-MM-DD",)
    """How the day is written, in parts YYYY YY MM M MON DD D hh mm ss f; [brackets] hold text that is no part."""
    months: tuple[str, ...] = ()
    """The twelve names that MON stands for, where they are not English."""
    day: Literal["first", "last"] | None = None
    """The day to take where the file tells only the month."""

    @model_validator(mode="after")
    def _has_sound_formats(self) -> "DayFrom":
        dates.reader(self.formats, self.months, self.day)
        return self


class NumberFrom(CellFrom):
    """A number, kept exactly and as it was written."""

    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    """The sign before the decimals."""
    thousands: Annotated[str, Field(max_length=1)] = ""
    """The sign between thousands; " " stands for any blank, also one that does not break."""
    remove: Words = ()
    """Texts around the number that are taken out, such as a currency sign."""
    none: Words = ()
    """What stands for "no amount" once `remove` is taken out, such as `-`."""
    zero: Literal["refuse", "leave out"] = "refuse"
    """What to do with zero: refuse the row, or tell no amount and flag the row. A value may be zero."""

    @model_validator(mode="after")
    def _has_two_signs(self) -> "NumberFrom":
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` are the same sign")
        return self


class FromColumn(Table):
    """Words of a column. A bare text, `plates = "matricula"`, is short for `{ column = "matricula" }`."""

    column: str
    """The column."""
    missing: Words | None = None
    """Words that mean "not told" in this column, in place of those of `[file]`. An empty cell is always missing."""
    remove: Words = ()
    """Texts that are taken out, such as marks of the writing direction."""

    @model_validator(mode="before")
    @classmethod
    def _may_be_short(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value


class Said(FromColumn):
    """Words for the narrative."""

    label: str = ""
    """What is written before the words."""


class PlateFrom(FromColumn):
    """Registration, hull and vehicle numbers."""

    pattern: str | None = None
    """`vin`, `container`, `imo`, or a bounded regular expression; without it, the whole cell is the number."""
    country: TextFrom | None = None
    """The country of registration."""

    @model_validator(mode="after")
    def _is_bounded(self) -> "PlateFrom":
        if self.pattern is not None:
            patterns.finder(self.pattern)
        return self


class DocumentFrom(PlateFrom):
    """Numbers of documents."""

    kind: str
    """passport, bill-of-lading, container, invoice, ...: the kind of document."""


class Condition(Table):
    """What must hold of one column; everything that is stated must hold."""

    column: str
    """The column."""
    equals: Words | None = None
    """The cell is one of these words (blanks around it and capitals do not count)."""
    starts_with: Words | None = None
    """The cell begins with one of these words."""
    pattern: str | None = None
    """The cell holds what this bounded regular expression finds."""
    is_missing: bool | None = None
    """The cell is empty or holds a word that means "not told" (true), or does not (false)."""
    missing: Words | None = None
    """Words that mean "not told" in this column, in place of those of `[file]`."""

    @model_validator(mode="after")
    def _says_something(self) -> "Condition":
        if self.pattern is not None:
            patterns.finder(self.pattern)
        if (self.equals, self.starts_with, self.pattern, self.is_missing) == (None,) * 4:
            raise ValueError("a condition says what must hold: `equals`, `starts_with`, `pattern` or `is_missing`")
        return self
