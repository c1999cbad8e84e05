"""Rows of a sheet of an Excel file (xlsx, xlsm, xlsb, xls) or an OpenDocument one.

The file is opened in a process of its own with bounded memory and time, after a look at what it would unpack to; what
that process finds is kept in a file without a name. The line is the row's number as Excel shows it.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from intake.excel_child import Cell
from intake.mapping import File
from intake.rows import MOST_COLUMNS, Exact, Row, Unreadable, fitted, named_columns

LARGEST_UNPACKED = 1024**3
SMALL_UNPACKED = 64 * 1024**2
HIGHEST_RATIO = 200
MOST_PARTS = 10_000
WAIT_S = 180
MEMORY_BYTES = 2 * 1024**3

_problem = msgspec.msgpack.Decoder(dict[str, Any])
_row = msgspec.msgpack.Decoder(tuple[int, list[Cell]])
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
        refuse_bomb(file)
        self._told, self._found = told, kept
        _open(file, told.sheet or "", kept)
        start = _problem.decode(_next(self._found) or b"\x80")
        if problem := start.get("problem", "format"):
            sheets = ", ".join(f"`{name}`" for name in start.get("sheets", ()))
            raise Unreadable(PROBLEMS.get(problem) or f"It has no sheet `{told.sheet}`; it has {sheets or 'none'}.")
        self._start = self._found.tell()
        first = next(self._numbered(), None)
        self.columns: Sequence[str] = self._columns(first[1] if first else [])

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
            row = fitted(line, cells + [""] * (len(self.columns) - len(cells)), self.columns)
            if row is not None:
                yield row

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        self._found.seek(self._start)
        while body := _next(self._found):
            line, cells = _row.decode(body)
            if line > self._told.skip_lines:
                yield line, [Exact(cell[0]) if isinstance(cell, list) else cell for cell in cells]


def _next(found: BinaryIO) -> bytes:
    size = found.read(4)
    return found.read(int.from_bytes(size, "big")) if len(size) == 4 else b""


def _open(file: BinaryIO, sheet: str, kept: BinaryIO) -> None:
    """Have a process of its own open the file and write into `kept` what it finds."""
    file.seek(0)
    try:
        ended = subprocess.run(  # noqa: S603  # our own module; the arguments are numbers and a sheet's name
            [sys.executable, "-m", "intake.excel_child", str(file.fileno()), sheet, str(MEMORY_BYTES)],
            stdin=subprocess.DEVNULL,
            stdout=kept,
            stderr=subprocess.DEVNULL,
            pass_fds=(file.fileno(),),
            timeout=WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"It was not read within {WAIT_S} seconds: split it, or save it as CSV.") from None
    if ended.returncode != 0:
        raise Unreadable("It needs more memory or time than a file of rows may: split it, or save it as CSV.")
    kept.seek(0)


def refuse_bomb(file: BinaryIO) -> None:
    """Refuse a zip archive whose directory says that it unpacks to far more than a workbook of its size would.

    Raises:
        Unreadable: it does. What the directory may hide, the child's limits catch.
    """
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        return
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
