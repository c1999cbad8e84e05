"""Readers of cells: for each key of a mapping, a function from a row's cells to a value of ours.

They are made once per file, so that a slip in the mapping is found before the first row, and remember what each word
meant, since columns repeat themselves. A cell that does not fit raises `Unfit` with the field and the reason; the word
itself is shown only where its column holds no words typed by hand.
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from domain import forms
from domain.quantity import require_sound
from domain.refused import Refused
from intake import dates, numbers, patterns
from intake.cells import CellFrom, DayFrom, NumberFrom, TextFrom
from intake.mapping import Mapping
from intake.mapping_file import MappingError
from intake.numbers import Amount
from intake.rows import Exact, tidy

Value = TypeVar("Value")
Cells = Sequence[str]
Notes = list[tuple[str, str]]
"""What is odd about a row that is recorded all the same: the field and the reason."""
Reader = Callable[[Cells, Notes], Value | None]
Note = Callable[[Any], str | None]

MOST_REMEMBERED = 50_000
LONGEST_REMEMBERED = 200
LONGEST_SHOWN = 30


class Unfit(Exception):  # noqa: N818  # like Refused: an answer to the person who gave the file
    """A row cannot be recorded as it is: the field, and the reason as the end of a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class Columns:
    """The columns of a file, as a mapping names them, and what holds for all of them."""

    def __init__(self, names: Sequence[str], mapping: Mapping, where: str) -> None:
        """Take the file's columns; `where` is how messages call the mapping."""
        self._places = {name: place for place, name in enumerate(names)}
        self._places |= {f"#{place}": place - 1 for place in range(1, len(names) + 1)}
        self._missing = frozenset(map(folded, mapping.file.missing))
        self._private = frozenset(map(tidy, mapping.personal.columns))
        self.named = mapping.values
        self.where = where

    def place(self, name: str) -> int:
        """Where the column stands in a row."""
        return self._places[tidy(name)]

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Those of these columns that the file does not have."""
        return [name for name in names if tidy(name) not in self._places]

    def missing(self, own: Sequence[str] | None) -> frozenset[str]:
        """The words that mean "not told", folded."""
        return self._missing if own is None else frozenset(map(folded, own))

    def texts(self, told: CellFrom) -> Callable[[Cells], str]:
        """A function that gives the words of a cell (or of several, joined; empty where one of them is missing)."""
        places = [self.place(name) for name in told.reads]
        if len(places) == 1:
            place = places[0]
            return lambda cells: cells[place]
        missing, join = self.missing(told.missing), told.join
        word = remembered(lambda text: "" if folded(text) in missing else tidy(text))

        def joined(cells: Cells) -> str:
            words = [word(cells[place]) for place in places]
            return join.join(words) if all(words) else ""

        return joined

    def called(self, told: CellFrom) -> str:
        """How a message calls the columns of a cell."""
        names = [f"`{name}`" for name in told.reads]
        return f"the column {names[0]}" if len(names) == 1 else f"the columns {', '.join(names)}"

    def shown(self, told: CellFrom, text: str) -> str:
        """The word that does not fit, in quotation marks and cut short; "a word" where it may be personal."""
        if any(tidy(name) in self._private for name in told.reads):
            return "a word"
        plain = "".join(letter if letter.isprintable() else "?" for letter in text)
        return f"“{plain[:LONGEST_SHOWN]}{'…' if len(plain) > LONGEST_SHOWN else ''}”"


def folded(text: str) -> str:
    """A word for comparing: blanks drawn together, capitals as small letters."""
    return tidy(text).casefold()


class _Remembered(dict[str, Value]):
    """Answers by the words they are to; a word not met before is looked up. Errors are not kept."""

    def __init__(self, find: Callable[[str], Value]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, text: str) -> Value:
        if len(text) > LONGEST_REMEMBERED:
            return self._find(text)
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[text] = found = self._find(text)
        return found


def remembered(find: Callable[[str], Value]) -> Callable[[str], Value]:
    """`find`, with its answers kept for words that come again."""
    return _Remembered(find).__getitem__


def code_of(kind: Any) -> Callable[[str], Any]:  # noqa: ANN401  # a type of a field: an annotation has no narrower type
    """A function that makes a code of a text, or raises ValueError with what a code of this kind looks like."""
    info = forms.type_info(kind)
    about = ""
    if isinstance(info, inspect.EnumType):
        about = f"is none of {', '.join(member.value for member in info.cls)}"
    elif isinstance(info, inspect.Metadata):
        about = f"does not have the form of a code ({(info.extra_json_schema or {}).get('description', 'a code')})"

    def convert(text: str) -> Any:  # noqa: ANN401  # as above
        try:
            return forms.convert(text, kind)
        except msgspec.ValidationError:
            raise ValueError(about) from None

    return convert


class _Values(NamedTuple):
    exact: dict[str, Any]
    folded: dict[str, Any]


def _values(table: dict[str, str], make: Callable[[str], Any]) -> _Values:
    """What words mean: as they stand, and with blanks and capitals drawn together where that leaves no doubt."""
    exact: dict[str, Any] = {}
    loose: dict[str, set[str]] = {}
    for word, meaning in table.items():
        exact[tidy(word)] = make(meaning) if meaning else None
        loose.setdefault(folded(word), set()).add(meaning)
    meanings = {word: next(iter(told)) for word, told in loose.items() if len(told) == 1}
    return _Values(exact, {word: make(told) if told else None for word, told in meanings.items()})


_UNKNOWN = object()


def code_reader(
    told: TextFrom, field: str, make: Callable[[str], Any], columns: Columns, note: Note | None = None
) -> Reader[Any]:
    """A reader of codes; `make` turns the text into a value or raises ValueError, `note` says what is odd about one.

    Raises:
        MappingError: a code that the mapping itself states is none.
    """
    sure = _checked(make, field, columns.where)
    if told.constant is not None:
        value = sure(told.constant)
        constant_note = note(value) if note else None
        return lambda _cells, notes: _with_note(value, field, constant_note, notes)
    find = remembered(_Code(told, field, make, columns, note).find)
    if told.column is not None:
        return _one_column(columns.place(told.column), field, find)
    texts = columns.texts(told)

    def read(cells: Cells, notes: Notes) -> Any:  # noqa: ANN401  # whatever `make` makes
        value, odd = find(texts(cells))
        if odd is not None:
            notes.append((field, odd))
        return value

    return read


def _one_column(place: int, field: str, find: Callable[[str], tuple[Any, str | None]]) -> Reader[Any]:
    """The same for the usual case, without a call for the words: this is done for every cell of every row."""

    def read(cells: Cells, notes: Notes) -> Any:  # noqa: ANN401  # whatever was found
        value, odd = find(cells[place])
        if odd is not None:
            notes.append((field, odd))
        return value

    return read


class _Code:
    """How one key reads a code of the words of a cell."""

    def __init__(
        self, told: TextFrom, field: str, make: Callable[[str], Any], columns: Columns, note: Note | None
    ) -> None:
        sure = _checked(make, field, columns.where)
        if isinstance(told.values, str) and told.values not in columns.named:
            raise MappingError(f"{columns.where}: {field}: there is no table [values.{told.values}].")
        table = columns.named[told.values] if isinstance(told.values, str) else told.values
        self._values = None if table is None else _values(table, sure)
        self._told, self._field, self._make, self._columns, self._note = told, field, make, columns, note
        self._missing = columns.missing(told.missing)
        self._search = patterns.finder(told.pattern) if told.pattern is not None else None
        self._if_missing = sure(told.if_missing) if told.if_missing is not None else None
        self._default = _UNKNOWN if told.default is None else sure(told.default) if told.default else None
        self._where = columns.called(told)

    def find(self, text: str) -> tuple[Any, str | None]:
        """The value of these words, and what is odd about it. Raises Unfit."""
        text = tidy(text)
        if text and self._search is not None and text.casefold() not in self._missing:
            text = next(iter(self._search(text)), "")
        if not text or text.casefold() in self._missing:
            return self._noted(self._if_missing)
        text = _spelled(self._told, text)
        if self._values is not None:
            value = self._values.exact.get(text, self._values.folded.get(text.casefold(), self._default))
            if value is not _UNKNOWN:
                return self._noted(value)
            if self._told.unmapped != "as given":
                return self._unmapped(text)
        try:
            return self._noted(self._make(self._told.prefix + text))
        except ValueError as error:
            shown = self._columns.shown(self._told, text)
            raise Unfit(self._field, f"{shown} in {self._where} {error}") from None

    def _unmapped(self, text: str) -> tuple[Any, str | None]:
        if self._told.unmapped == "leave out":
            return None, f"{self._where} holds a word that the mapping does not know: it was left out"
        shown = self._columns.shown(self._told, text)
        raise Unfit(self._field, f"{self._where} holds {shown}, for which the mapping has no value")

    def _noted(self, value: Any) -> tuple[Any, str | None]:  # noqa: ANN401  # whatever `make` makes
        return value, self._note(value) if self._note is not None and value is not None else None


def _spelled(told: TextFrom, text: str) -> str:
    for part in told.remove:
        text = text.replace(part, "")
    for part, other in told.replace.items():
        text = text.replace(part, other)
    text = text.strip()
    if told.case is not None:
        text = text.upper() if told.case == "upper" else text.lower()
    return text.zfill(told.pad_zeros) if told.pad_zeros is not None else text


def _with_note(value: Any, field: str, odd: str | None, notes: Notes) -> Any:  # noqa: ANN401  # whatever was made
    if odd is not None:
        notes.append((field, odd))
    return value


def _checked(make: Callable[[str], Any], field: str, where: str) -> Callable[[str], Any]:
    def sure(text: str) -> Any:  # noqa: ANN401  # whatever `make` makes
        try:
            return make(text)
        except ValueError as error:
            raise MappingError(f"{where}: {field}: “{text}” {error}.") from None

    return sure


def day_reader(told: DayFrom, field: str, columns: Columns) -> Reader[date]:
    """A reader of days."""
    parse = dates.reader(told.formats, told.months, told.day)
    if told.constant is not None:
        value = _checked(parse, field, columns.where)(told.constant)
        return lambda _cells, _notes: value
    missing, texts, where = columns.missing(told.missing), columns.texts(told), columns.called(told)

    def find(text: str) -> date | None:
        text = tidy(text)
        if not text or text.casefold() in missing:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise Unfit(field, f"{columns.shown(told, text)} in {where} {error}") from None

    look = remembered(find)

    def read(cells: Cells, _notes: Notes) -> date | None:
        text = texts(cells)
        if isinstance(text, Exact):  # a day that a spreadsheet holds as one
            try:
                return date.fromisoformat(text[:10])
            except ValueError:
                return look(str(text))
        return look(text)

    return read


def number_reader(told: NumberFrom, field: str, columns: Columns, *, may_be_zero: bool = False) -> Reader[Amount]:
    """A reader of amounts: the exact number and how it was written."""
    exactly = numbers.reader(".", "", ())
    if told.constant is not None:
        value = _checked(exactly, field, columns.where)(told.constant)
        return lambda _cells, _notes: value
    parse = numbers.reader(told.decimal, told.thousands, told.remove)
    missing, texts, where = columns.missing(told.missing), columns.texts(told), columns.called(told)
    none = frozenset(map(folded, told.none))

    def find(text: str, parse: Callable[[str], Amount] = parse) -> Amount | None:
        text = text.strip()
        bare = text
        for part in told.remove:
            bare = bare.replace(part, "")
        if not bare.strip() or folded(text) in missing or folded(bare) in none:
            return None
        try:
            amount, written = parse(text)
            require_sound(amount, field.partition(".")[0])
        except ValueError as error:
            raise Unfit(field, f"{columns.shown(told, text)} in {where} {error}") from None
        except Refused as error:
            raise Unfit(field, str(error).rstrip(".")) from None
        return amount, written

    look = remembered(find)

    def read(cells: Cells, notes: Notes) -> Amount | None:
        text = texts(cells)
        found = find(text, exactly) if isinstance(text, Exact) else look(text)
        if found is None or may_be_zero or found[0] != Decimal(0):
            return found
        if told.zero == "refuse":
            raise Unfit(field, f"{where} holds zero: a line of goods needs an amount above zero, or none")
        notes.append((field, f"{where} holds zero: no amount was recorded"))
        return None

    return read
