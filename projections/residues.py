"""The residue scan: whether any of some values lies in files, and where; it tells the place and never the value.

Files are read as streams in bounded memory, all values in all their forms at once. What is packed is unpacked as it is
read: gzip, bzip2, xz, zip and tar, one in the other, and PostgreSQL's own dumps. Of the write-ahead log the headers of
pages, which cut records apart, are left out, and compressed images of pages are unpacked by `pg_waldump`. What could
not be looked through is told, so that "nothing was found" is never said of it.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec
import psycopg
from ahocorasick_rs import BytesAhoCorasick

from projections.canaries import forms

if TYPE_CHECKING:
    Opened = io.BufferedReader[Any]

CHUNK = 1 << 22
MOST_TOLD = 20
"""Places that are told of one value in one file; all are counted."""
DEEPEST = 4
"""How many packings one in the other are opened."""
SEGMENT = re.compile(r"([0-9A-F]{24})(\.partial)?(\.gz)?$")
PAGE = 8192
_SHORT, _LONG, _IS_LONG = 24, 40, 0x02
_UNREAD = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"7z\xbc\xaf": "7z"}
MEMORY = Path("/dev/shm")  # noqa: S108  # pages of the log are unpacked in memory, where nothing of them stays
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError, OSError)


class Residue(msgspec.Struct, frozen=True, kw_only=True):
    """A value that lies in a file: which (its number, from 1), where, and in which form."""

    place: str
    offset: int
    value: int
    form: str


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan came to: how much was looked through, what was found, and what could not be looked through."""

    files: int
    bytes: int
    residues: int
    found: tuple[Residue, ...]
    unread: tuple[str, ...]


class Scan:
    """A scan for some values; `add` looks through folders and files, `scanned` tells what it came to."""

    def __init__(self, values: Sequence[str], *, words: bool = False, programs: Path | None = None) -> None:
        """Look for these values; `programs` is the folder of PostgreSQL's own.

        Raises:
            ValueError: a value is too short to be looked for; the message says which by its number.
        """
        self._told: list[tuple[int, str]] = []
        patterns: dict[bytes, None] = {}
        for number, value in enumerate(values, start=1):
            mine = forms(value, words=words)
            if not mine:
                raise ValueError(f"Value {number} is too short to be looked for.")
            for pattern, how in mine.items():
                if pattern not in patterns:
                    patterns[pattern] = None
                    self._told.append((number, how))
        self._search = BytesAhoCorasick(list(patterns))
        self._overlap = max(map(len, patterns)) - 1
        self._programs = programs
        self._files = self._bytes = self._residues = 0
        self._found: list[Residue] = []
        self._unread: list[str] = []

    @property
    def scanned(self) -> Scanned:
        """What it has come to so far."""
        return Scanned(
            files=self._files,
            bytes=self._bytes,
            residues=self._residues,
            found=tuple(self._found),
            unread=tuple(self._unread),
        )

    def add(self, *paths: Path, without: Iterable[Path] = ()) -> None:
        """Look through files, and all files below folders; links are not followed, and `without` is left out."""
        left_out = {path.resolve() for path in without}
        for path in _files(paths, self._unread):
            if path.resolve() not in left_out:
                self._file(path)

    def add_bytes(self, place: str, content: bytes) -> None:
        """Look through something that is no file."""
        self._unpacked(place, io.BytesIO(content), -1)

    def _file(self, path: Path) -> None:
        self._files += 1
        try:
            with path.open("rb") as opened:
                self._stream(str(path), cast("Opened", opened), 0)
            if SEGMENT.search(path.name):
                self._images(path)
        except FileNotFoundError:
            self._files -= 1  # the server has removed it meanwhile
        except _BROKEN as error:
            self._unread.append(f"{path}: {type(error).__name__}")

    # -- packings

    def _stream(self, place: str, opened: "Opened", depth: int) -> None:
        """Look through a stream, unpacked if it is packed."""
        start = opened.peek(600)[:600]
        if depth >= DEEPEST:
            self._unread.append(f"{place}: packed too deeply")
        elif kind := next((kind for magic, kind in _UNREAD.items() if start.startswith(magic)), None):
            self._unread.append(f"{place}: packed with {kind}")
            self._look(place, opened)
        elif start[:2] == b"\x1f\x8b":
            self._unpacked(place, gzip.GzipFile(fileobj=opened), depth)
        elif start[:3] == b"BZh":
            self._unpacked(place, bz2.BZ2File(opened), depth)
        elif start[:6] == b"\xfd7zXZ\x00":
            self._unpacked(place, lzma.LZMAFile(opened), depth)  # noqa: SIM115  # closed there
        elif start[:4] == b"PK\x03\x04" and opened.seekable():
            self._zip(place, opened, depth)
        elif start[257:262] == b"ustar":
            self._tar(place, opened, depth)
        elif start[:5] == b"PGDMP" and not place.endswith("toc.dat"):  # that is only a table of contents
            self._dump(place, opened)
        else:
            self._look(place, opened)

    def _unpacked(self, place: str, inner: object, depth: int) -> None:
        with io.BufferedReader(cast("io.RawIOBase", inner), 1 << 16) as opened:
            self._stream(place, opened, depth + 1)

    def _zip(self, place: str, opened: "Opened", depth: int) -> None:
        with zipfile.ZipFile(opened) as packed:
            for name in packed.namelist():
                self._unpacked(f"{place}!{name}", packed.open(name), depth)

    def _tar(self, place: str, opened: "Opened", depth: int) -> None:
        with tarfile.open(fileobj=opened, mode="r|") as packed:
            for member in packed:
                content = packed.extractfile(member)
                if content is not None:
                    self._unpacked(f"{place}!{member.name}", content, depth)

    def _dump(self, place: str, opened: "Opened") -> None:
        """A dump in PostgreSQL's own form: its program tells what is in it."""
        program = self._programs and self._programs / "pg_restore"
        if program is None or not program.exists():
            self._unread.append(f"{place}: a dump, and there is no pg_restore to read it")
            return
        with subprocess.Popen(  # noqa: S603  # PostgreSQL's own program
            [program, "--file=-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as running:
            feeder = threading.Thread(target=_feed, args=[opened, running.stdin])
            feeder.start()
            self._look(place, cast("Opened", running.stdout))
            feeder.join()
        if running.returncode != 0:
            self._unread.append(f"{place}: a dump that pg_restore cannot read")

    # -- the write-ahead log

    def _images(self, path: Path) -> None:
        """Look through the images of pages in a segment of the log, as far as they are compressed in it."""
        program = self._programs and self._programs / "pg_waldump"
        if program is None or not program.exists():
            self._unread.append(f"{path}: images of pages, for there is no pg_waldump to unpack them")
            return
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            named = SEGMENT.search(path.name)
            segment = Path(folder) / (named[1] if named else path.name)
            with path.open("rb") as opened, segment.open("wb") as into:
                is_packed = opened.read(2) == b"\x1f\x8b"
                opened.seek(0)
                shutil.copyfileobj(gzip.GzipFile(fileobj=opened) if is_packed else opened, into, CHUNK)
            pages = Path(folder) / "pages"
            subprocess.run(  # noqa: S603  # PostgreSQL's own program
                [program, "--quiet", f"--save-fullpage={pages}", segment], capture_output=True, check=False
            )
            for page in sorted(pages.iterdir()) if pages.is_dir() else ():
                with page.open("rb") as image:
                    self._look(f"{path}!{page.name}", cast("Opened", image))
                page.unlink()

    # -- bytes

    def _look(self, place: str, opened: "Opened") -> None:
        is_log = SEGMENT.search(place) is not None
        if is_log and "!" in place:
            self._unread.append(f"{place}: images of pages, which are unpacked of segments by themselves only")
        read = _without_headers(opened) if is_log else iter(lambda: opened.read(CHUNK), b"")
        tail = b""
        at = 0
        told: dict[int, int] = {}
        for chunk in read:
            self._bytes += len(chunk)
            window = tail + chunk
            for pattern, begin, end in self._search.find_matches_as_indexes(window, overlapping=True):
                if end > len(tail):
                    number, how = self._told[pattern]
                    self._residues += 1
                    told[number] = told.get(number, 0) + 1
                    if told[number] <= MOST_TOLD:
                        offset = at - len(tail) + begin
                        where = _in_log(offset) if is_log else offset
                        self._found.append(Residue(place=place, offset=where, value=number, form=how))
            at += len(chunk)
            tail = window[-self._overlap :] if self._overlap else b""


def write_out(connection: psycopg.Connection[Any]) -> None:
    """Have the server write out all that it holds in memory; a checkpoint leaves unlogged tables where they are.

    Before it copies a database by its files, it writes out everything; the copy is dropped.

    Raises:
        psycopg.errors.InsufficientPrivilege: this role may make no database.
    """
    connection.execute("DROP DATABASE IF EXISTS ncen_written_out")
    connection.execute("CREATE DATABASE ncen_written_out TEMPLATE template0 STRATEGY file_copy")
    connection.execute("DROP DATABASE ncen_written_out")


def _files(paths: Iterable[Path], unread: list[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            unread.append(f"{error.filename}: {type(error).__name__}")

    for path in paths:
        if path.is_dir():
            for folder, _, names in os.walk(path, onerror=note):
                inside = (Path(folder) / name for name in names)
                yield from (one for one in inside if one.is_file() and not one.is_symlink())
        elif path.is_file():
            yield path
        else:
            unread.append(f"{path}: not there")


def _feed(opened: IO[bytes], into: IO[bytes] | None) -> None:
    assert into is not None  # noqa: S101  # a pipe was asked for
    with contextlib.suppress(BrokenPipeError), into:
        shutil.copyfileobj(opened, into, CHUNK)


def _in_log(offset: int) -> int:
    """Where in a segment that is, whose headers were left out."""
    first, other = PAGE - _LONG, PAGE - _SHORT
    if offset < first:
        return _LONG + offset
    return (1 + (offset - first) // other) * PAGE + _SHORT + (offset - first) % other


def _without_headers(opened: "Opened") -> Iterator[bytes]:
    """A segment of the write-ahead log without the headers of its pages, by which a record may be cut in two."""
    while chunk := opened.read(CHUNK):
        kept = []
        for start in range(0, len(chunk), PAGE):
            page = chunk[start : start + PAGE]
            is_empty = page[:2] == b"\0\0"
            header = 0 if is_empty else _LONG if page[2] & _IS_LONG else _SHORT
            kept.append(page[header:])
        yield b"".join(kept)
