"""One restore: copy, recover, verify, and carry out again what must not come back.

It keeps these rules: the backup itself is only read; the server that recovers is reached by nobody else and is stopped
at the end; to stop at a ledger position, all is recovered once to learn which transaction sealed it, and again up to
that one. What the copy comes to is compared with what the backup's note says the ledger was.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import archiving, backed_up
from cli.backed_up import BASE, WAL, Note
from cli.output import Failure, Unreachable, VerificationFailed
from cli.postgres import EmbeddedPostgres
from cli.processes import own_place, server_account, until, write_durably
from cli.settings import Settings
from cli.supervisor import DATABASE
from ledger.whole_file import flush_folder

if TYPE_CHECKING:
    from ledger.checkpoints import Signed

MARK = "restoring"
"""A file in the home: while it is there, a restore has not ended and the node must not start."""
RECOVERED_WITHIN_S = 24 * 3600.0
NOT_REACHED = "recovery ended before configured recovery target was reached"
TOO_EARLY = "requested recovery stop point is before consistent recovery point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore came to."""

    node: str
    entries: int
    position: int
    root: str
    opened: int
    erased_again: int
    with_keys: bool
    unreadable: int
    """How many keys of persons open no more, because their epoch ended after the backup was made."""
    beyond: int
    """How many entries more the node's newest signed checkpoint tells of, where its folder was put into the home."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to restore: from where, how far, with which further write-ahead log, and with which file of keys."""

    folder: Path
    goal: int | datetime | None = None
    archive: Path | None = None
    keys: Path | None = None


@dataclass(slots=True)
class Restoring:
    """The restore of one home from one backup."""

    settings: Settings
    note: Note
    wish: Wish

    def run(self) -> Restored:
        """Do all of it; raises as `cli.restore.bring_back` says."""
        if self.wish.keys is not None:
            _unpack(self.wish.keys, self.settings.keys)
        server = self._recover(self.wish.goal)
        try:
            done = self._verified(server)
        finally:
            server.stop()
        shutil.rmtree(server.place / archiving.FETCHED)
        return done

    # -- the files

    def _recover(self, goal: int | datetime | None) -> EmbeddedPostgres:
        """Return a running server that has come as far as it was asked to."""
        if not isinstance(goal, int):
            return self._recovered({} if goal is None else {"recovery_target_time": f"'{goal.astimezone(UTC)}'"})
        server = self._recovered({})
        try:
            xid = self._sealing_transaction(server, goal)
        finally:
            server.stop()
        return self._recovered({"recovery_target_xid": f"'{xid}'"})

    def _sealing_transaction(self, server: EmbeddedPostgres, position: int) -> int:
        from ledger.sessions import connect

        with connect(server.dsn(DATABASE)) as session:
            row = session.execute(
                "SELECT xmin::text::bigint FROM ledger.sealed WHERE position = %s", [position]
            ).fetchone()
            if row is None:
                size = session.execute("SELECT size FROM ledger.seal_state").fetchone()
                raise Failure(f"The backup reaches position {size and size[0]}, not {position}.")
        return int(row[0])

    def _recovered(self, target: dict[str, str]) -> EmbeddedPostgres:
        settings = {
            "restore_command": archiving.RESTORE_COMMAND,
            "hot_standby": "off",  # so that the server answers only when it has come to the end
            "recovery_target_action": "promote",
            **target,
        }
        server = EmbeddedPostgres(
            self.settings.home / "postgres",
            bin_dir=self.settings.pg_bin,
            settings=settings,
            wait_s=RECOVERED_WITHIN_S,
        )
        server.stop()  # one that an interrupted restore has left running
        place = self._fill(server)
        try:
            server.start()
        except Unreachable:
            raise self._why(place) from None
        until(lambda: server.pid is None or _is_promoted(server), wait_s=RECOVERED_WITHIN_S)
        if server.pid is None:
            raise self._why(place)
        return server

    def _fill(self, server: EmbeddedPostgres) -> Path:
        """Lay out base and write-ahead log anew, as they stand in the backup, and compare them with its manifest."""
        account = server_account()
        place = own_place(server.folder, account)
        for leftover in (*place.glob("data*"), place / archiving.FETCHED):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.rmtree(place / "log", ignore_errors=True)
        backed_up.require_plain(self.wish.folder, shutil.disk_usage(place).free)
        fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=place))
        shutil.copytree(self.wish.folder / BASE, fresh, dirs_exist_ok=True)
        backed_up.verify_base(server.program("pg_verifybackup"), fresh, self.note)
        backed_up.disarm(fresh)
        self._fetch_segments(place / archiving.FETCHED)
        (fresh / "recovery.signal").touch(mode=0o600)
        for root in (fresh, place / archiving.FETCHED):
            for path in (root, *root.rglob("*")):
                account.give(path)
        fresh.chmod(0o700)
        fresh.rename(place / "data")
        write_durably(place / archiving.FETCH_NAME, archiving.FETCH_SCRIPT, account)
        flush_folder(place)
        return place

    def _fetch_segments(self, fetched: Path) -> None:
        fetched.mkdir(mode=0o700)
        for source in (self.wish.folder / WAL, self.wish.archive):
            for path in archiving.kept(source).values() if source is not None else ():
                if not (fetched / path.name).exists():
                    _copy_whole(path, fetched / path.name)
        names = {*archiving.kept(fetched), *(path.name for path in (self.wish.folder / BASE / "pg_wal").iterdir())}
        gap = archiving.missing(self.note.first_wal, self.note.last_wal, names)
        if gap is not None:
            raise VerificationFailed("A segment of the backup's write-ahead log is missing; take another copy.")

    @staticmethod
    def _why(place: Path) -> Failure:
        """Say why the server did not come to where it was asked to."""
        logs = sorted((place / "log").glob("*"))
        said = "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs)
        if NOT_REACHED in said:
            return Failure("The backup ends before that; without --until all that it holds is restored.")
        if TOO_EARLY in said:
            return Failure("This backup was still being made then: go a little further, or take an older one.")
        tell = place / "log"
        return VerificationFailed(f"PostgreSQL could not recover from this backup; the files in {tell} tell why.")

    # -- what it has come to

    def _verified(self, server: EmbeddedPostgres) -> Restored:
        """Verify what came back, and erase again whom the certificates in the keys folder name."""
        from ledger import epochs
        from ledger.erasure import replay
        from ledger.sessions import connect
        from ledger.verify import verify

        url = server.dsn(DATABASE)
        with_keys = any(self.settings.keys.glob("*.key"))
        signed, beyond = self._signed(url) if with_keys else ((), 0)
        verdict = verify(url, keys=self.settings.keys if with_keys else None, signed=signed)
        if not verdict.is_sound:
            raise VerificationFailed(f"What was restored does not fit what was sealed: {verdict.faults[0]}")
        with connect(url) as session:
            for reached in (self.note.base, self.note.reached)[: 2 if self.wish.goal is None else 1]:
                self._compare(session, reached.sealed, reached.root)
        erased = replay(url, self.settings.keys) if with_keys else 0
        return Restored(
            node=self.note.node,
            entries=verdict.entries + verdict.unsealed,
            position=verdict.entries,
            root=verdict.root.hex(),
            opened=verdict.opened,
            erased_again=erased,
            with_keys=with_keys,
            unreadable=epochs.standing(url, self.settings.keys).lost if with_keys else 0,
            beyond=beyond,
        )

    def _signed(self, url: str) -> "tuple[tuple[Signed, ...], int]":
        """Return the signed checkpoints of what came back, and how many entries the newest one tells of beyond that."""
        from ledger import checkpoints, schema
        from ledger.prover import Prover
        from ledger.sessions import connect
        from ledger.tree import Tree

        keys = Prover.open(self.settings.keys, node=self.note.node, folder=self.settings.checkpoints).keys
        with connect(url) as session:
            schema.prepare_session(session)
            found, size = checkpoints.find(session, keys, self.settings.checkpoints), Tree(session).size()
        if found.faults:
            raise VerificationFailed(str(found.faults[0]))
        newest = found.newest.size if found.newest is not None else 0
        return tuple(one for one in found.signed if one.size <= size), max(0, newest - size)

    @staticmethod
    def _compare(session: Any, sealed: int, root: str) -> None:  # noqa: ANN401  # a session, imported where it is needed
        from ledger.tree import Tree

        tree = Tree(session)
        if tree.size() < sealed:
            raise VerificationFailed(f"The backup was made at position {sealed}, and only {tree.size()} came back.")
        if tree.root(sealed).hex() != root:
            raise VerificationFailed(f"The first {sealed} entries are not those of which the backup was made.")


def _copy_whole(segment: Path, to: Path) -> None:
    """Copy a segment that can be unpacked: the server would take a damaged one for the end of the log."""
    backed_up.require_segment(segment)
    shutil.copyfile(segment, to)


def _is_promoted(server: EmbeddedPostgres) -> bool:
    import psycopg

    from ledger.sessions import connect

    try:
        with connect(server.dsn()) as session:
            return session.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    except psycopg.OperationalError:  # it is not there yet
        return False


def _unpack(file: Path, keys: Path) -> None:
    """Put the keys of a file into a keys folder, each whole and for its owner alone."""
    found = backed_up.read_keys(file)
    for name, raw in found.items():
        target = keys / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as written:
            written.write(raw)
            written.flush()
            os.fsync(written.fileno())
        flush_folder(target.parent)
