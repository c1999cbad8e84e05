"""What a backup is made of, and the note that tells of it.

A folder holds `base` (a copy of the data files, with PostgreSQL's own manifest), `wal` (the write-ahead log from there
on) and `backup.json` (this note, written last: without it there is no backup). Keys are never in it. A folder belongs
to one ledger for ever.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from cli.output import Failure, NotFound, VerificationFailed
from cli.processes import clean_environment, sync_folder, write_durably
from domain import forms

NOTE = "backup.json"
BASE = "base"
WAL = "wal"
MANIFEST = "backup_manifest"
FRESH = "base.new-"
VERIFY_WAIT_S = 24 * 3600.0

Hex = Annotated[str, forms.form(r"^[0-9a-f]{64}$", "a SHA-256", least=64, most=64)]
Segment = Annotated[str, forms.form(r"^[0-9A-F]{24}$", "the name of a segment of the write-ahead log")]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ledger was sealed at a moment, and the tree's root over that."""

    at: datetime
    sealed: int
    root: Hex


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup says of itself."""

    form: Literal["ncen backup/1"]
    node: str
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
    try:
        raw = (folder / NOTE).read_bytes()
    except OSError:
        raise NotFound(f"There is no backup in {folder}: it has no {NOTE}.") from None
    try:
        note: Note = forms.from_json(raw, Note)
    except msgspec.DecodeError:
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
        return hashlib.sha256((base / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        raise VerificationFailed(f"The backup's {MANIFEST} cannot be read; take another copy.") from None


def stood(session: Any) -> Reached:  # noqa: ANN401  # a session of the ledger, which this module need not import
    """Return how far the ledger is sealed now, with its root, in one snapshot."""
    from ledger.tree import Tree

    with session.transaction():
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tree = Tree(session)
        at = session.execute("SELECT clock_timestamp()").fetchone()[0]
        return Reached(at=at, sealed=tree.size(), root=tree.root(tree.size()).hex())


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
    sync_folder(target.parent)
