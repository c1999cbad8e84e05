"""What a backup is made of, and the note that tells of it.

A folder holds `base` (a copy of the data files, with PostgreSQL's own manifest), `wal` (the write-ahead log from there
on) and `backup.json` (this note, written last: without it there is no backup). Keys are never in it. A folder belongs
to one ledger for ever.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from cli.output import BadInput, Failure, NotFound, VerificationFailed
from cli.processes import clean_environment, write_durably
from domain import forms
from ledger import given_file
from ledger.whole_file import flush_folder

NOTE = "backup.json"
BASE = "base"
WAL = "wal"
MANIFEST = "backup_manifest"
FRESH = "base.new-"
MOST_NOTE_BYTES = 64 * 1024
SEGMENT_BYTES = 16 * 1024 * 1024
MOST_PACKED_BYTES = SEGMENT_BYTES + 1024 * 1024
"""A segment of the write-ahead log, packed, is not larger than plain and what packing adds."""
MOST_KEYS_BYTES = 64 * 1024 * 1024
MOST_KEY_BYTES = 1024 * 1024
KEY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}){0,3}")
CARRIED_OUT = re.compile(r"\s*(include|\w*(command|librar|path|file|director|\.))", re.IGNORECASE)
"""Settings of PostgreSQL by which it starts programs, loads libraries, or reads further files."""
VERIFY_WAIT_S = 24 * 3600.0

Hex = Annotated[str, forms.form(r"^[0-9a-f]{64}$", "a SHA-256", least=64, most=64)]
NodeName = Annotated[str, forms.form(r"^[A-Z]{2}[A-Z0-9-]{0,10}$(?!\n)", "the name of a node")]
Segment = Annotated[str, forms.form(r"^[0-9A-F]{24}$", "the name of a segment of the write-ahead log")]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ledger was sealed at a moment, and the tree's root over that."""

    at: datetime
    sealed: int
    root: Hex


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup says of itself."""

    form: Literal["ncen backup/1"]
    node: NodeName
    role: Literal["nation", "cen"]
    server: int
    system: str
    timeline: int
    base: Reached
    """How the ledger stood before the base was begun: all of this is in it."""
    reached: Reached
    """How it stood before the newest segment was closed."""
    first_wal: Segment
    last_wal: Segment
    manifest: Hex


def read_note(folder: Path) -> Note:
    """Return the note of a backup.

    Raises NotFound when there is no backup in the folder, VerificationFailed when its note cannot be read.
    """
    if not (folder / NOTE).exists():
        raise NotFound(f"There is no backup in {folder}: it has no {NOTE}.")
    try:
        note: Note = forms.from_json(given_file.read(folder / NOTE, MOST_NOTE_BYTES), Note)
    except (msgspec.DecodeError, UnicodeDecodeError, given_file.Unusable):
        raise VerificationFailed(f"The note {folder / NOTE} was changed or is not ours; take another copy.") from None
    return note


def write_note(folder: Path, note: Note) -> None:
    """Write the note, whole or not at all."""
    write_durably(folder / NOTE, msgspec.json.format(msgspec.json.encode(note), indent=2).decode() + "\n")


def manifest_hash(base: Path) -> str:
    """Return the SHA-256 of a base's manifest.

    Raises VerificationFailed when it is not there.
    """
    try:
        return hashlib.sha256(given_file.read(base / MANIFEST, SEGMENT_BYTES)).hexdigest()
    except given_file.Unusable:
        raise VerificationFailed(f"The backup's {MANIFEST} cannot be read; take another copy.") from None


def stood(session: Any) -> Reached:  # noqa: ANN401  # a session of the ledger, which this module need not import
    """Return how far the ledger is sealed now, with its root, in one snapshot."""
    from ledger.tree import Tree

    with session.transaction():
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tree = Tree(session)
        at = session.execute("SELECT clock_timestamp()").fetchone()[0]
        return Reached(at=at, sealed=tree.size(), root=tree.root(tree.size()).hex())


def require_plain(folder: Path, room: int) -> None:
    """Look at a backup before anything of it is copied: it holds files alone, of the sizes that were noted, which fit.

    A link could lead out of it, a device could go on without end, a file that is mostly holes could fill the disk.

    Raises:
        VerificationFailed: it holds something else than files, or files that its manifest does not tell of.
        Failure: it is larger than the `room` that there is, in bytes.
    """
    told, total = _sizes(folder / BASE), 0
    for path in _files(folder / BASE):
        size, name = path.lstat().st_size, str(path.relative_to(folder / BASE))
        is_noted = told.get(name) == size
        if not (is_noted or ((name == MANIFEST or name.startswith("pg_wal/")) and size <= SEGMENT_BYTES)):
            raise VerificationFailed(_damaged(f"{BASE}/{name}", "it does not have the size that was noted"))
        total += size
    total += SEGMENT_BYTES * sum(1 for _ in _files(folder / WAL))
    if total > room:
        raise Failure(f"The node needs {total >> 20} MB, and there are {room >> 20} MB free: name another disk.")


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder; anything else than files and folders is refused."""
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise VerificationFailed(_damaged(str(path.relative_to(folder.parent)), "it is no file"))
        if stat.S_ISREG(kind):
            yield path


def _sizes(base: Path) -> dict[str, int]:
    """The files of a base by their names, as its manifest tells them."""
    try:
        told = json.loads(given_file.read(base / MANIFEST, SEGMENT_BYTES))
        return {str(one["Path"]): int(one["Size"]) for one in told["Files"] if "Path" in one}
    except (given_file.Unusable, ValueError, KeyError, TypeError, RecursionError):
        raise VerificationFailed(_damaged(f"{BASE}/{MANIFEST}", "it cannot be read")) from None


def _damaged(name: str, why: str) -> str:
    return f"The backup is damaged ({name[:200]}: {why}); take another copy."


def require_segment(segment: Path) -> None:
    """Unpack a segment to nowhere: a damaged one would pass for the end of the log, a bomb would fill the disk.

    Raises:
        VerificationFailed: it is no file, is damaged, or unpacks to more than a segment.
    """
    try:
        with given_file.opened(segment) as file, gzip.open(file) as packed:
            is_small = os.fstat(file.fileno()).st_size <= MOST_PACKED_BYTES
            fits = is_small and len(packed.read(SEGMENT_BYTES + 1)) <= SEGMENT_BYTES
    except (given_file.Unusable, OSError, EOFError, zlib.error):
        fits = False
    if not fits:
        raise VerificationFailed(f"The segment {segment.name} of the write-ahead log is damaged; take another copy.")


def read_keys(file: Path) -> dict[str, bytes]:
    """Return the keys that `ncen backup --with-keys` wrote into a file, by their names; all of them, or none.

    Raises:
        BadInput: it holds anything else: a link, a device, a name that leads elsewhere or is there twice.
    """
    refusal = BadInput(f"{file} does not hold keys as `ncen backup --with-keys` writes them.")
    try:
        with tarfile.open(fileobj=io.BytesIO(given_file.read(file, MOST_KEYS_BYTES)), mode="r:") as tar:
            members = list(tar)
            found = {told.name: _key(tar, told) for told in members}
    except given_file.Unusable as error:
        raise BadInput(f"{file}: {error}.") from None
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise refusal from None
    folders = {str(parent) for name in found for parent in Path(name).parents}
    if len(found) != len(members) or folders & found.keys():
        raise refusal
    return found


def _key(tar: tarfile.TarFile, told: tarfile.TarInfo) -> bytes:
    is_plain = told.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not told.issparse()
    read = tar.extractfile(told) if is_plain and told.size <= MOST_KEY_BYTES else None
    if read is None or KEY_NAME.fullmatch(told.name) is None:
        raise ValueError("not a key")
    return read.read()


def disarm(data: Path) -> None:
    """Take from copied settings what the server would carry out or read from elsewhere, unverified."""
    for name in ("postgresql.auto.conf", "operator.conf", "postgresql.conf"):
        path = data / name
        if path.exists():
            lines = path.read_text(encoding="latin-1").splitlines(keepends=True)
            kept = [line for line in lines if CARRIED_OUT.match(line) is None]
            path.write_text("".join(kept), encoding="latin-1")


def verify_base(program: Path, base: Path, note: Note | None) -> None:
    """Compare every file of a base with its manifest, and the manifest with the note.

    Raises VerificationFailed with a sentence when something does not fit.
    """
    if note is not None and manifest_hash(base) != note.manifest:
        raise VerificationFailed("The backup's manifest is not the one that was written with it; take another copy.")
    said = run([program, "--quiet", base])
    if said is not None:
        what = next((line.split("error: ", 1)[1] for line in said.splitlines() if "error: " in line), "it is not whole")
        raise VerificationFailed(f"The backup is damaged ({what}); take another copy.")


def run(command: Sequence[str | Path]) -> str | None:
    """Run one of PostgreSQL's programs as ourselves; return what it complained of, None when all went well."""
    done = subprocess.run(  # noqa: S603  # our own binaries, our own arguments
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=clean_environment(),
        timeout=VERIFY_WAIT_S,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip() or f"it ended with {done.returncode}"


@contextmanager
def roomy(what: str) -> Iterator[None]:
    """Turn what the operating system refuses (a full disk, a closed folder) into a sentence."""
    try:
        yield
    except OSError as error:
        raise Failure(f"{what} could not be written: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    """Say what the system said, without a path; of many files, what it said of the first."""
    found = re.search(r"\[Errno (\d+)\]", str(error))
    number = error.errno or (int(found[1]) if found else 0)
    return os.strerror(number) if number else "the system refuses it"


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file so that it is whole under its name or not there at all."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as written, source.open("rb") as read:
            shutil.copyfileobj(read, written, 1 << 20)
            written.flush()
            os.fsync(written.fileno())
        Path(name).rename(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    flush_folder(target.parent)
