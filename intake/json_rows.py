"""Rows of JSON: an array of objects, or an object on each line.

Numbers are taken as they are written and never pass through a float. Nested objects become columns with points in
their names (`place.port`), entries of arrays columns with numbers. The line is the place in the array, counted from 1,
or the line of the file. An array is taken apart in a process of its own; a row, of bounded length, is read in ours.
"""

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from intake import apart
from intake.mapping import File
from intake.rows import MOST_COLUMNS, Exact, Row, Unreadable, shown, tidy

LONGEST_LINE = 4_000_000
LONGEST_NAME = 400
DEEPEST = 12
NOT_JSON = "It is not JSON in UTF-8"
MEMORY_BYTES = 2 * 1024**3
"""The most that taking an array apart may use, besides the file itself."""
FIRST_MEMORY_BYTES = 256 * 1024**2
TIMES_FILE = 2
CPU_S = 120
WAIT_S = 180
PROBLEMS = {
    "deep": "It is nested too deeply for a file of rows.",
    "array": "It is not a JSON array of objects: if the rows lie deeper, state `rows_at` in [file].",
    "json": f"{NOT_JSON}, or it breaks off.",
}


class _ExactDecoder:
    """Decodes an object; what the file holds as a number comes back as the text it was written in."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Exact)

    def __call__(self, text: bytes) -> dict[str, str]:
        cells: dict[str, str] = {}
        _flatten(self._decoder.decode(text), "", cells, 0)
        return cells


def _flatten(value: object, name: str, cells: dict[str, str], depth: int) -> None:
    if depth > DEEPEST or len(name) > LONGEST_NAME or len(cells) > MOST_COLUMNS:
        raise ValueError("too deep or too wide")
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

    def _texts(self) -> Iterator[tuple[int, bytes]]:
        raise AssertionError("each kind of JSON has its own")

    def _objects(self) -> Iterator[tuple[int, dict[str, str], str | None]]:
        for line, text in self._texts():
            try:
                yield line, self._decode(text), None
            except msgspec.ValidationError:
                yield line, {}, "is not a JSON object with numbers of sensible size"
            except (ValueError, RecursionError):  # also what is no UTF-8, which msgspec does not call its own
                yield line, {}, "is not a JSON object in UTF-8, or is nested too deeply, or is longer than any row"

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

    def _texts(self) -> Iterator[tuple[int, bytes]]:
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

    def __init__(self, file: BinaryIO, told: File, kept: BinaryIO) -> None:
        """Have the array taken apart, keep its elements in `kept`, and read all keys. Raises Unreadable."""
        self._found = kept
        _take_apart(file, told.rows_at or "", kept)
        problem = (apart.next_frame(kept) or b"").decode()
        if problem == "rows_at":
            raise Unreadable(f"It has no `{shown(told.rows_at or '')}`, where the mapping says that the rows lie.")
        if problem:
            raise Unreadable(PROBLEMS[problem])
        self._start = kept.tell()
        super().__init__()

    def _texts(self) -> Iterator[tuple[int, bytes]]:
        self._found.seek(self._start)
        place = 0
        while (text := apart.next_frame(self._found)) is not None:
            place += 1
            yield place, text if len(text) <= LONGEST_LINE else b""


def _take_apart(file: BinaryIO, rows_at: str, kept: BinaryIO) -> None:
    """Have a process of its own take the array apart; its memory grows with the file."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        return
    limits = apart.Limits(
        memory_bytes=size + min(MEMORY_BYTES, FIRST_MEMORY_BYTES + TIMES_FILE * size),
        output_bytes=FIRST_MEMORY_BYTES + 3 * size,
        cpu_s=CPU_S,
        wait_s=WAIT_S,
    )
    apart.run("intake.json_child", [rows_at], file, kept, limits)
