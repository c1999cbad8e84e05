"""Rows of a sheet of an Excel file (xlsx, xlsm, xlsb, xls) or an OpenDocument one.

The file is opened in a process of its own with bounded memory and time, after a look at what it would unpack to; what
that process finds is kept in a file without a name. The line is the row's number as Excel shows it.
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from intake import apart
from intake.excel_child import Cell
from intake.mapping import File
from intake.rows import MOST_COLUMNS, Exact, Row, Unreadable, fitted, named_columns, shown

LARGEST_UNPACKED = 1024**3
SMALL_UNPACKED = 64 * 1024**2
HIGHEST_RATIO = 200
MOST_PARTS = 10_000
SHOWN_SHEETS = 10
WAIT_S = 180
CPU_S = 120
FIRST_CPU_S = 20
BYTES_A_SECOND = 64 * 1024**2  # of memory that is filled
MEMORY_BYTES = 2 * 1024**3
"""The most that opening a workbook may use, however large it is."""
FIRST_MEMORY_BYTES = 256 * 1024**2
"""What opening any workbook may use, besides what grows with its size."""
TIMES_UNPACKED = 16
TIMES_UNZIPPED = 40  # an xls is not packed, and its numbers are small

_problem = msgspec.msgpack.Decoder(dict[str, Any])
_row = msgspec.msgpack.Decoder(tuple[int, list[Cell] | None])
PROBLEMS = {
    "password": "It is protected by a password: save it without one.",
    "format": "It is not an Excel or OpenDocument file, or it is damaged.",
}


class ExcelRows:
    """The rows of one sheet."""

    def __init__(self, file: BinaryIO, told: File, kept: BinaryIO) -> None:
        """Have the file opened, keep in `kept` what is found, and read the header.

        Raises:
            Unreadable: it is no such file, it would unpack to too much, or the sheet is not there.
        """
        unpacked = refuse_bomb(file)
        self._told, self._found = told, kept
        _open(file, unpacked, told.sheet or "", kept)
        start = _problem.decode(apart.next_frame(self._found) or b"\x80")
        if problem := start.get("problem", "format"):
            sheets = ", ".join(f"`{shown(name)}`" for name in start.get("sheets", ())[:SHOWN_SHEETS])
            raise Unreadable(
                PROBLEMS.get(problem) or f"It has no sheet `{shown(told.sheet or '')}`; it has {sheets or 'none'}."
            )
        self._start = self._found.tell()
        first = next(self._numbered(), None)
        self.columns: Sequence[str] = self._columns((first[1] or []) if first else [])

    def _columns(self, header: list[str]) -> list[str]:
        if len(header) > MOST_COLUMNS:
            raise Unreadable(f"Its header has more than {MOST_COLUMNS} columns.")
        if not isinstance(self._told.header, bool):
            return named_columns(self._told.header)
        return named_columns(header if self._told.header else [""] * len(header))

    def __iter__(self) -> Iterator[Row]:
        """Give the rows from the first."""
        numbered = self._numbered()
        if self._told.header is True:
            next(numbered, None)
        for line, cells in numbered:
            if cells is None:
                yield Row(line, [""] * len(self.columns), "is longer than any row of a table")
                continue
            row = fitted(line, cells + [""] * (len(self.columns) - len(cells)), self.columns)
            if row is not None:
                yield row

    def _numbered(self) -> Iterator[tuple[int, list[str] | None]]:
        self._found.seek(self._start)
        while body := apart.next_frame(self._found):
            line, cells = _row.decode(body)
            if line > self._told.skip_lines:
                yield line, None if cells is None else [_word(cell) for cell in cells]


def _word(cell: Cell) -> str:
    return Exact(cell[0]) if isinstance(cell, list) else cell


def _open(file: BinaryIO, unpacked: int, sheet: str, kept: BinaryIO) -> None:
    """Have a process of its own open the file and write into `kept` what it finds; its memory grows with the file."""
    most = min(MEMORY_BYTES, FIRST_MEMORY_BYTES + unpacked)
    cpu_s = min(CPU_S, FIRST_CPU_S + unpacked // BYTES_A_SECOND)
    limits = apart.Limits(memory_bytes=most, output_bytes=most, cpu_s=cpu_s, wait_s=WAIT_S)
    apart.run("intake.excel_child", [sheet], file, kept, limits)


def refuse_bomb(file: BinaryIO) -> int:
    """Refuse a zip archive whose directory says that it unpacks to far more than a workbook of its size would.

    Returns how many bytes of memory it may take to hold what is in it.

    Raises:
        Unreadable: it does. What the directory may hide, the child's limits catch.
    """
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        return TIMES_UNZIPPED * os.fstat(file.fileno()).st_size
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    except (zipfile.BadZipFile, ValueError, RuntimeError):  # a kind of packing that is unknown, or a password
        raise Unreadable(PROBLEMS["format"]) from None
    is_bomb = unpacked > SMALL_UNPACKED and unpacked > HIGHEST_RATIO * max(packed, 1)
    if len(parts) > MOST_PARTS or unpacked > LARGEST_UNPACKED or is_bomb:
        raise Unreadable(
            f"It would unpack from {packed} to {unpacked} bytes, as no workbook does: it is not opened. "
            "If it is genuine, save it as CSV."
        )
    return TIMES_UNPACKED * unpacked
