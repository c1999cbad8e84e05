"""`ncen backup`: a copy of the ledger from which a node can be restored, kept up to date each time it is said.

It keeps these rules: the node goes on working; what was acknowledged before it was said is in the copy; the copy is
compared with its manifest before it counts; the write-ahead log is kept from then on, so that any moment or position
after the first copy can be restored. Keys are not in it: they are copied apart, and only when asked for.
"""

import io
import os
import re
import shutil
import tarfile
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cli import archiving, backed_up
from cli.backed_up import BASE, FRESH, NOTE, WAL, Note, Reached
from cli.output import ExitCode, Failure, Misused, NotFound, Unreachable, show
from cli.postgres import EmbeddedPostgres, major_of
from cli.processes import locked, server_account, until
from cli.settings import Settings, load
from cli.supervisor import DATABASE
from ledger.whole_file import alone_in, flush_folder

if TYPE_CHECKING:
    from ledger.sessions import Session

ARCHIVED_WITHIN_S = 300.0
KEPT_DAYS = 14
"""How long the node itself keeps what has been copied to a backup, for other folders that are brought up less often."""
KEPT_S = KEPT_DAYS * 24 * 3600.0
BEGIN = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.MULTILINE)


def backup(
    folder: Path,
    /,
    *,
    with_keys: Path | None = None,
) -> ExitCode:
    """Copy the ledger into a folder, or bring the backup there up to date; the node goes on working.

    Args:
        folder: A new or empty folder, best on another disk, or one with a backup of this ledger.
        with_keys: Copy the node's keys too, into this new file: keep it apart from the folder.
    """
    settings = load()
    target = folder.expanduser().absolute()
    keys_file = None if with_keys is None else with_keys.expanduser().absolute()
    if keys_file is not None:
        _refuse_near(keys_file, target, settings)
    note, is_new = take(settings, target)
    if keys_file is not None:
        keep_keys(settings.keys, keys_file)
    data = {
        "folder": str(target),
        "new": is_new,
        "node": note.node,
        "sealed": note.reached.sealed,
        "root": note.reached.root,
        "at": note.reached.at,
        "since": note.base.at,
        "keys": None if keys_file is None else str(keys_file),
    }
    word = "The ledger was copied" if is_new else "The backup was brought up to date"
    where = (
        f"{word}: all that was recorded before {note.reached.at:%Y-%m-%d %H:%M:%S} UTC, "
        f"sealed to position {note.reached.sealed}, is in {target}."
    )
    kept = (
        f"Keys were copied to {keys_file}: keep it apart, whoever has both has everything."
        if keys_file is not None
        else "Keys are not in it: copy the node's keys folder, and keep it apart."
    )
    show(data, where, kept)
    return ExitCode.DONE


def own_server(settings: Settings) -> EmbeddedPostgres:
    """Return the node's own PostgreSQL; raise Misused when it uses one that others keep."""
    if settings.database_url is not None:
        raise Misused("This node uses a PostgreSQL that ncen does not run: back it up by that server's own means.")
    return EmbeddedPostgres(settings.home / "postgres", bin_dir=settings.pg_bin)


def take(settings: Settings, folder: Path) -> tuple[Note, bool]:
    """Make a backup of a running node in a folder, or bring the one there up to date; tell whether it is new.

    Raises:
        Failure: there is no room, the folder holds something else, or what is needed is not archived any more.
        Unreachable: the node's PostgreSQL does not run.
    """
    server = own_server(settings)
    if not settings.home.is_dir():
        raise NotFound(f"There is no node in {settings.home}.")
    if not server.is_running():
        raise Unreachable("The node's PostgreSQL does not run: `ncen up` starts it.")
    if folder.is_relative_to(settings.home):
        raise Misused("A backup inside the node's own home is lost with it: name a folder elsewhere.")
    from ledger.sessions import connect

    with (
        locked(settings.run / "backup.lock", wait_s=5),
        backed_up.roomy("The backup"),
        connect(server.dsn(DATABASE)) as session,
    ):
        return _take(settings, server, folder, session)


def _take(settings: Settings, server: EmbeddedPostgres, folder: Path, session: "Session") -> tuple[Note, bool]:
    system, timeline = _system(session)
    before = _known(folder, system, timeline)
    archive = _archive(server)
    if before is None:
        before = _new(settings, server, folder, session)
    reached = backed_up.stood(session)
    last = _close_segment(session, archive, folder / WAL)
    _bring(archive, folder, before.first_wal, last)
    note = msgspec.structs.replace(before, reached=reached, last_wal=last)
    is_new = not (folder / NOTE).exists()
    backed_up.write_note(folder, note)
    _prune(archive, folder / WAL)
    return note, is_new


def _system(session: "Session") -> tuple[str, int]:
    row = session.execute(
        "SELECT (SELECT system_identifier::text FROM pg_control_system()), (SELECT timeline_id FROM"
        " pg_control_checkpoint()), current_setting('archive_mode')"
    ).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM has one row
    if row[2] == "off":
        raise Failure("This PostgreSQL was started before it knew backups: say `ncen down` and `ncen up` once.")
    return row[0], row[1]


def _known(folder: Path, system: str, timeline: int) -> Note | None:
    """Return the note of the backup in a folder, None when it is to be made; refuse a folder with something else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / NOTE).exists():
        ours = (BASE, FRESH, WAL, f".{NOTE}-", "ncen.toml", ".ncen.toml-")
        if any(not path.name.startswith(ours) for path in folder.iterdir()):
            raise Misused(f"{folder} holds something else: name a new or empty folder.")
        return None
    note = backed_up.read_note(folder)
    if (note.system, note.timeline) != (system, timeline):
        raise Misused(
            f"{folder} holds a backup of another ledger, or of this one from before it was restored:"
            " name a new folder, and keep that one."
        )
    return note


def _archive(server: EmbeddedPostgres) -> Path:
    """Make the folder in which the server keeps its write-ahead log: from then on it does."""
    archive = server.place / archiving.ARCHIVE
    if not archive.is_dir():
        archive.mkdir(mode=0o700)
        server_account().give(archive)
        flush_folder(server.place)
    return archive


def _new(settings: Settings, server: EmbeddedPostgres, folder: Path, session: "Session") -> Note:
    """Copy the data files; the note says what is known of the copy so far."""
    for leftover in (*folder.glob(f"{FRESH}*"), folder / BASE):
        shutil.rmtree(leftover, ignore_errors=True)
    base = backed_up.stood(session)
    fresh = Path(tempfile.mkdtemp(prefix=FRESH, dir=folder))
    try:
        _copy(server, fresh)
        backed_up.verify_base(server.program("pg_verifybackup"), fresh, None)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    fresh.rename(folder / BASE)
    flush_folder(folder)
    if settings.file.exists():
        backed_up.copy_durably(settings.file, folder / settings.file.name)
    return _note_of(settings, session, folder / BASE, base)


def _copy(server: EmbeddedPostgres, fresh: Path) -> None:
    program = server.program("pg_basebackup")
    command: list[str | Path] = [program, "--pgdata", fresh, "--format=plain", "--no-password"]
    command += ["--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256", "--label=ncen"]
    if major_of(program.parent) >= 17:
        command += ["--sync-method=syncfs"]  # one flush for all files
    said = backed_up.run([*command, "--dbname", server.dsn("replication")])
    if said is None:
        return
    if "No space left" in said:
        raise Failure("The backup could not be written: No space left on device.")
    if "pg_hba.conf" in said:
        raise Failure("This PostgreSQL was started before it knew backups: say `ncen down` and `ncen up` once.")
    reason = said.splitlines()[-1].split("error: ", 1)[-1]
    raise Failure(f"PostgreSQL could not copy its files: {reason}.")


def _note_of(settings: Settings, session: "Session", base: Path, stood: Reached) -> Note:
    found = BEGIN.search((base / "backup_label").read_text(encoding="utf-8"))
    if found is None:
        raise Failure("The copy does not say where it begins; PostgreSQL's backup_label is not what we know.")
    system, timeline = _system(session)
    return Note(
        form="ncen backup/1",
        node=settings.node,
        role=settings.role,
        server=session.info.server_version,
        system=system,
        timeline=timeline,
        base=stood,
        reached=stood,
        first_wal=found[1],
        last_wal=found[1],
        manifest=backed_up.manifest_hash(base),
    )


def _close_segment(session: "Session", archive: Path, wal: Path) -> str:
    """Close the segment that is being written, wait until it is kept, and return its name."""
    row = session.execute("SELECT pg_walfile_name(pg_switch_wal() - 1)").fetchone()
    last = str(row[0]) if row is not None else ""
    name = f"{last}{archiving.ENDING}"
    if not until(lambda: (archive / name).exists() or (wal / name).exists(), wait_s=ARCHIVED_WITHIN_S):
        raise Unreachable(
            f"PostgreSQL has not kept the segment {last} in {archive} within {ARCHIVED_WITHIN_S:.0f} seconds;"
            " its log tells why (a full disk, most often)."
        )
    return last


def _bring(archive: Path, folder: Path, first: str, last: str) -> None:
    """Copy the segments that the folder does not have yet, and refuse to leave a gap."""
    wal = folder / WAL
    wal.mkdir(mode=0o700, exist_ok=True)
    there = archiving.kept(wal)
    for name, path in sorted(archiving.kept(archive).items()):
        is_older = archiving.SEGMENT.match(name) and archiving.number(name) < archiving.number(first)
        if name not in there and not is_older:
            backed_up.copy_durably(path, wal / path.name)
    in_base = {path.name for path in (folder / BASE / "pg_wal").iterdir()}
    if archiving.missing(first, last, {*archiving.kept(wal), *in_base}) is not None:
        raise Failure(
            f"A part of the write-ahead log since the backup in {folder} is not kept any more:"
            " make a new backup in an empty folder."
        )


def _prune(archive: Path, wal: Path) -> None:
    """Take away from the node what has been copied and is old."""
    copied = archiving.kept(wal)
    for name, path in archiving.kept(archive).items():
        if name in copied and time.time() - path.stat().st_mtime > KEPT_S:
            path.unlink()


# -- keys


def _refuse_near(keys_file: Path, folder: Path, settings: Settings) -> None:
    if keys_file.is_relative_to(folder) or keys_file.is_relative_to(settings.home):
        raise Misused("Keys are kept apart: name a file outside the backup's folder and outside the node's home.")
    if keys_file.exists():
        raise Misused(f"{keys_file} exists already; name a new file for the keys.")


def keep_keys(keys: Path, file: Path) -> None:
    """Write all keys of a node into one new file for its owner alone."""
    with backed_up.roomy("The keys"):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as written:
            with alone_in(keys), tarfile.open(fileobj=written, mode="w") as tar:  # no key is replaced meanwhile
                for path in sorted(path for path in keys.rglob("*") if path.is_file()):
                    raw = path.read_bytes()
                    told = tarfile.TarInfo(str(path.relative_to(keys)))
                    told.size, told.mode, told.mtime = len(raw), 0o600, int(datetime.now(UTC).timestamp())
                    tar.addfile(told, io.BytesIO(raw))
            written.flush()
            os.fsync(written.fileno())
        flush_folder(file.parent)
