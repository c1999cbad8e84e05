"""Rows of JSON: an array of objects, or an object on each line.

Numbers are taken as they are written and never pass through a float. Nested objects become columns with points in
their names (`place.port`), entries of arrays columns with numbers. The line is the place in the array, counted from 1,
or the line of the file.
"""

import codecs
import mmap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from intake.mapping import File
from intake.rows import MOST_COLUMNS, Exact, Row, Unreadable, tidy

LONGEST_LINE = 16_000_000
DEEPEST = 12
NOT_JSON = "It is not JSON in UTF-8"

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _ExactDecoder:
    """Decodes an object; what the file holds as a number comes back as the text it was written in."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Exact)

    def __call__(self, text: bytes | msgspec.Raw) -> dict[str, str]:
        cells: dict[str, str] = {}
        _flatten(self._decoder.decode(text), "", cells, 0)
        return cells


def _flatten(value: object, name: str, cells: dict[str, str], depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("too deep")
    match value:
        case None:
            return
        case bool():
            cells[name] = "true" if value else "false"
        case int():
            cells[name] = Exact(value)
        case str():
            cells[name] = value
        case Mapping():
            for key, inner in value.items():
                _flatten(inner, f"{name}.{tidy(key)}" if name else tidy(key), cells, depth + 1)
        case list():
            for place, inner in enumerate(value):
                _flatten(inner, f"{name}.{place}", cells, depth + 1)


class _JsonRows:
    """What both kinds of JSON have in common: objects in places, and columns that are all their keys."""

    columns: Sequence[str]

    def __init__(self) -> None:
        self._decode = _ExactDecoder()
        columns: dict[str, None] = {}
        for _, cells, _ in self._objects():
            for name in cells:
                columns.setdefault(name)
            if len(columns) > MOST_COLUMNS:
                raise Unreadable(f"Its objects have more than {MOST_COLUMNS} different keys.")
        self.columns = list(columns)

    def _texts(self) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
        raise AssertionError("each kind of JSON has its own")

    def _objects(self) -> Iterator[tuple[int, dict[str, str], str | None]]:
        for line, text in self._texts():
            try:
                yield line, self._decode(text), None
            except msgspec.ValidationError:
                yield line, {}, "is not a JSON object with numbers of sensible size"
            except (ValueError, RecursionError):  # also what is no UTF-8, which msgspec does not call its own
                yield line, {}, "is not a JSON object in UTF-8, or is nested too deeply"

    def __iter__(self) -> Iterator[Row]:
        """Give the rows from the first."""
        columns = self.columns
        for line, cells, problem in self._objects():
            if problem or any(map(str.strip, cells.values())):
                told = [cells.get(name, "") for name in columns]
                yield Row(line, told, problem or ("holds a NUL character" if "\x00" in "".join(told) else None))


class JsonLines(_JsonRows):
    """The objects of a file with one on each line."""

    def __init__(self, file: BinaryIO) -> None:
        """Read all keys. Raises Unreadable."""
        self._file = file
        super().__init__()

    def _texts(self) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
        self._file.seek(0)
        line = 0
        while text := self._file.readline(LONGEST_LINE + 1):
            line += 1
            if len(text) > LONGEST_LINE:
                raise Unreadable(f"Line {line} is longer than any row of JSON lines: is it one JSON array?")
            if line == 1:
                text = text.removeprefix(codecs.BOM_UTF8)
            if text.strip():
                yield line, text


class JsonArray(_JsonRows):
    """The objects of an array: the whole file, or what lies under `rows_at`."""

    def __init__(self, file: BinaryIO, told: File) -> None:
        """Read all keys. Raises Unreadable."""
        try:
            self._elements = _elements(file, told.rows_at)
        except RecursionError:
            raise Unreadable("It is nested too deeply for a file of rows.") from None
        except msgspec.ValidationError:
            raise Unreadable(
                "It is not a JSON array of objects: if the rows lie deeper, state `rows_at` in [file]."
            ) from None
        except ValueError:
            raise Unreadable(f"{NOT_JSON}, or it breaks off.") from None
        super().__init__()

    def _texts(self) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
        yield from enumerate(self._elements, start=1)


def _elements(file: BinaryIO, rows_at: str | None) -> list[msgspec.Raw]:
    file.seek(0)
    if not file.read(1):
        return []
    held: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if held[:3] == codecs.BOM_UTF8:
        held = memoryview(held)[3:]
    for step in (rows_at or "").split("."):
        if step:
            found = _object.decode(held).get(step)
            if found is None:
                raise Unreadable(f"It has no `{rows_at}`, where the mapping says that the rows lie.")
            held = found
    return _array.decode(held)
