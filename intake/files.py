"""Opening a file that came in: which kind it is, unpacked where it is packed, kept where it comes from a pipe.

What is unpacked or comes from standard input lies in a file without a name, which vanishes with the process. A packed
file may not unpack to far more than rows do. A file that changes while it is read is not trusted.
"""

import contextlib
import gzip
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from intake.csv_rows import CsvRows
from intake.excel_rows import ExcelRows
from intake.json_rows import JsonArray, JsonLines
from intake.mapping import File
from intake.rows import Rows, Unreadable
from ledger import given_file

PIECE_BYTES = 1024 * 1024
SMALL_UNPACKED = 64 * 1024**2
HIGHEST_RATIO = 150
LARGEST_UNPACKED = 16 * 1024**3
LARGEST_PIPED = 16 * 1024**3

KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}


@contextlib.contextmanager
def opened(name: str | Path, told: File, wanted: frozenset[str]) -> Iterator[Rows]:
    """Open a file (`-` is standard input) as rows; `wanted` are the columns that the mapping names.

    Raises:
        Unreadable: it is not there, is of no known kind, is damaged, unpacks to too much, or changed while it was read.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_raw(name))
        before = _state(file)
        plain = stack.enter_context(_unpacked(file))
        kind = _kind(plain, str(name), told)
        with tempfile.TemporaryFile() as kept:
            yield _rows(plain, told, wanted, kind, kept)
        if _state(file) != before:
            raise Unreadable("It was changed while it was read: import it again once it is whole.")


def _state(file: BinaryIO) -> tuple[int, int]:
    now = os.fstat(file.fileno())
    return now.st_size, now.st_mtime_ns


def _rows(file: BinaryIO, told: File, wanted: frozenset[str], kind: str, kept: BinaryIO) -> Rows:
    match kind:
        case "excel":
            return ExcelRows(file, told, kept)
        case "csv":
            return CsvRows(file, told, wanted)
        case "json":
            return JsonArray(file, told, kept)
    return JsonLines(file)


def _raw(name: str | Path) -> BinaryIO:
    if str(name) == "-":
        return _spooled(sys.stdin.buffer)
    try:
        file = given_file.opened(name)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        with file:
            return _spooled(file)
    except given_file.Unusable as error:
        raise Unreadable(f"I{str(error)[1:]}.") from None  # "it …"
    except OSError as error:
        raise Unreadable(f"It cannot be read: {error.strerror or type(error).__name__}.") from None


def _spooled(source: BinaryIO) -> BinaryIO:
    kept = tempfile.TemporaryFile()  # noqa: SIM115  # the caller's stack closes it
    while piece := source.read(PIECE_BYTES):
        _keep(piece, kept)
        if kept.tell() > LARGEST_PIPED:
            raise Unreadable("It is larger than a file of rows may be.")
    kept.seek(0)
    return kept


def _keep(piece: bytes, kept: BinaryIO) -> None:
    try:
        kept.write(piece)
    except OSError as error:
        raise Unreadable(
            f"There is no room for it in the folder for temporary files (TMPDIR): {error.strerror or 'it is full'}."
        ) from None


@contextlib.contextmanager
def _unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    file.seek(0)
    if file.read(2) != b"\x1f\x8b":
        yield file
        return
    file.seek(0)
    packed = os.fstat(file.fileno()).st_size
    most = min(LARGEST_UNPACKED, max(SMALL_UNPACKED, HIGHEST_RATIO * packed))
    with tempfile.TemporaryFile() as kept:
        try:
            with gzip.GzipFile(fileobj=file) as unpacking:
                while piece := unpacking.read(PIECE_BYTES):
                    _keep(piece, kept)
                    if kept.tell() > most:
                        raise Unreadable(
                            f"It unpacks to more than {most} bytes from {packed}, as no file of rows does: "
                            "it is not read further. If it is genuine, unpack it first."
                        )
        except (OSError, EOFError, zlib.error):
            raise Unreadable("It is a damaged gzip file.") from None
        yield kept


def _kind(file: BinaryIO, name: str, told: File) -> str:
    """What is stated, else what the first bytes say beyond doubt, else the name, else the first bytes again."""
    file.seek(0)
    start = file.read(4096)
    if told.format:
        return told.format
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    path = Path(name.lower())
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix in KINDS:
        return KINDS[suffix]
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"[": "json", b"{": "jsonl"}.get(first, "csv")
