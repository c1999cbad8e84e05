"""What is left of the erased: many among many more, recorded, projected, exchanged, archived, backed up and erased.

`python -m soak.residue --subjects 100000 --erased 1000`. Base backup, archive and dump are made before the erasure, and
are looked through with everything else after it: data files, log, archive, NATS store, logs and keys of both nodes.
Each safeguard is taken away once, and the scan must then find somebody.
"""

import argparse
import contextlib
import random
import string
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from cli import archiving
from cli.nats_server import EmbeddedNats
from cli.output import say
from cli.postgres import EmbeddedPostgres
from cli.processes import server_account, until
from domain.assertion import Statement, StatementKind
from domain.attribution import Attribution, Purpose, Role
from domain.codes import DocumentKind, PartyRole
from domain.handling import DataCategory
from domain.identity import Address, IdentityDocument, PersonName
from domain.party import Party
from domain.person import RegisterPerson
from domain.rights import ErasureGrounds
from ledger import epochs, erasure
from ledger.erasure import Eraser
from ledger.ledger import Asked, Ledger
from ledger.sessions import connect
from projections import forgetting, positions
from projections.canaries import sounds
from projections.residues import Scan, Scanned, write_out
from soak.exchange import Side, meet, side, work
from soak.invented import OFFICER, premise, seizure
from soak.place import folder, processes, server, variables_of
from soak.report import Control

AT_ONCE = 250
WAIT_S = 900.0
SOME = 50
"""Of how many the controls are made: to look for all of them each time would only take longer."""
DATABASES = ("xa", "xb")
DPO = Attribution(actor="d.po", role=Role.DATA_PROTECTION_OFFICER, purpose=Purpose.ADMINISTRATION, legal_basis="CODE:1")


class Unfinished(Exception):  # noqa: N818  # an answer, not a fault
    """Something that had to come to pass did not in time; the message says what."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What it came to; `residues` must be 0, `unread` empty, and every control must hold."""

    subjects: int
    erased: int
    files: int
    megabytes: int
    residues: int
    forms: dict[str, int]
    places: tuple[str, ...]
    unread: tuple[str, ...]
    seconds: dict[str, float]
    controls: tuple[Control, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is left, everything was looked through, and the scan finds what is there."""
        return not self.residues and not self.unread and all(control.holds for control in self.controls)


@dataclass(frozen=True, slots=True)
class Somebody:
    """An invented person, with words that nobody else has."""

    record_id: UUID
    name: str
    number: str
    address: str

    @property
    def values(self) -> tuple[str, ...]:
        """What is looked for."""
        return (self.name, self.number, self.address)


@dataclass(slots=True)
class World:
    """Two nodes on one server, what was copied of them, and who is on record."""

    home: Path
    running: EmbeddedPostgres
    sides: tuple[Side, Side]
    erased: list[Somebody]
    stay: list[Somebody]
    tell: Callable[[str], None]
    seconds: dict[str, float]
    controls: list[Control]

    @property
    def archive(self) -> Path:
        """Where the server keeps its log."""
        return self.running.place / archiving.ARCHIVE

    @property
    def copies(self) -> Path:
        """Where backups and dumps lie."""
        return self.home / "copies"

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long something takes."""
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 1)
        self.tell(f"{what}: {self.seconds[what]} s")

    def scan(self, people: Iterable[Somebody], *paths: Path) -> Scanned:
        """Look for these people in these places, word by word."""
        values = [value for one in people for value in one.values]
        looking = Scan(values, words=True, programs=self.running.program("postgres").parent)
        looking.add(*paths)
        return looking.scanned


def run(
    subjects: int, erased: int, seed: int, tell: Callable[[str], None] = lambda _: None, *, in_memory: bool = False
) -> Outcome:
    """Live through all of it; `in_memory` needs a gigabyte there.

    Raises:
        Unfinished: something did not come to pass in time.
    """
    dice = random.Random(seed)
    people = _apart([_somebody(dice) for _ in range(subjects)], erased)
    with folder(in_memory=in_memory) as home, server(home) as running, contextlib.ExitStack() as stack:
        made = running.place / archiving.ARCHIVE
        made.mkdir(mode=0o700)
        server_account().give(made)
        agreed = premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL))
        sides = (side(running, home, "XA", agreed), side(running, home, "XB", agreed))
        world = World(home, running, sides, people[:erased], people[erased : 2 * erased], tell, {}, [])
        world.copies.mkdir(mode=0o755)
        nats = EmbeddedNats(home / "nats")
        nats.start()
        stack.callback(nats.stop)
        to_other = meet(*sides, nats)
        with processes(home) as children:
            work(children, sides[0], NCEN_NATS_URL=nats.url)
            work(children, sides[1])
            for one in sides:
                children.worker(f"{one.code}-project", "project", variables_of(one.home, one.url, node=one.code))
            with world.timed("recorded, projected and exchanged"):
                _record(world, people)
                _settle(world, to_other.node)
            with world.timed("copied and looked through before"):
                _copy(world, "before")
                _look_before(world)
            with world.timed("erased and confirmed"):
                _erase(world)
            with world.timed("rotated and cleared"):
                _rotate(world)
        _copy(world, "after")
        running.stop()
        with world.timed("looked through"):
            found = world.scan(world.erased, home)
        with world.timed("each safeguard taken away"):
            _take_away(world)
    return Outcome(
        subjects=subjects,
        erased=erased,
        files=found.files,
        megabytes=found.bytes // 1_000_000,
        residues=found.residues,
        forms=dict(Counter(one.form for one in found.found)),
        places=tuple(f"{one.place} at {one.offset}: {one.form}" for one in found.found[:20]),
        unread=found.unread,
        seconds=world.seconds,
        controls=tuple(world.controls),
    )


# -- who is on record


def _somebody(dice: random.Random) -> Somebody:
    def word(letters: str = string.ascii_lowercase, length: int = 24) -> str:  # so long that few sound alike
        return "".join(dice.choices(letters, k=length))

    return Somebody(
        record_id=Ledger.new_id(),
        name=f"{word().title()} {word().title()}",
        number=word(string.ascii_uppercase + string.digits, 12) + str(dice.randrange(10)),
        address=f"{word().title()} {dice.randrange(1, 90)}, {word().title()}",
    )


def _apart(people: Sequence[Somebody], count: int) -> list[Somebody]:
    """These people, first as many as are to be erased, none of whom sounds like the beginning of anybody else.

    A key by sound of theirs that somebody else's begins with would be found for ever, and not be theirs.
    """
    keys = {key: one for one in people[: 2 * count] for value in one.values for key in sounds(value)}
    lengths = sorted({len(key) for key in keys})
    alike = set()
    for one in people:
        for key in sounds(one.name):
            begun_by = (keys.get(key[:length]) for length in lengths if length <= len(key))
            alike |= {other.record_id for other in begun_by if other is not None and other is not one}
    told = [one for one in people[: 2 * count] if one.record_id not in alike][:count]
    first = {one.record_id for one in told}
    return [*told, *(one for one in people if one.record_id not in first)]


def _record(world: World, people: Sequence[Somebody]) -> None:
    """Put all on record, and cases by which those who are to be erased, and as many others, go to the peer."""
    one, _ = world.sides
    with Ledger.open(one.url, node=one.code, keys=one.keys) as ledger:
        for start in range(0, len(people), AT_ONCE):
            ledger.execute_all(
                [_asked(ledger, each.record_id, _told(each)) for each in people[start:][:AT_ONCE]], OFFICER
            )
        sent = [*world.erased, *world.stay]
        for start in range(0, len(sent), AT_ONCE):
            ledger.execute_all(
                [_asked(ledger, ledger.new_id(), _case(each.record_id)) for each in sent[start:][:AT_ONCE]], OFFICER
            )


def _asked(ledger: Ledger, record_id: UUID, command: RegisterPerson | object) -> Asked:
    return Asked(record_id=record_id, command=command, command_id=ledger.new_id())  # type: ignore[arg-type]  # a command


def _told(one: Somebody) -> RegisterPerson:
    said = (
        PersonName(full=one.name),
        IdentityDocument(kind=DocumentKind.PASSPORT, number=one.number),
        Address(text=one.address),
    )
    return RegisterPerson(
        statements=tuple(Statement(said=each, kind=StatementKind.FACT, source="INTERVIEW") for each in said)
    )


def _case(person: UUID) -> object:
    party = Party(party=person, role=PartyRole.DRIVER)
    return msgspec.structs.replace(seizure(narrative="stopped at the border"), parties=(party,))


def _settle(world: World, peer: str) -> None:
    """Wait until all is sealed, told in both nodes' tables, and receipted by the peer."""
    one, other = world.sides
    _wait(
        "the ledger is sealed",
        lambda: _one(one.url, "SELECT (SELECT count(*) FROM ledger.entry) - size FROM ledger.seal_state") == 0,
    )
    lacking = (
        "SELECT (SELECT size FROM ledger.seal_state) - feed.position + feed.number"
        " - coalesce((SELECT max(size) FROM exchange.receipt WHERE peer = feed.peer), 0) FROM exchange.feed"
        f" WHERE peer = '{peer}'"  # our own code
    )
    _wait("the peer has receipted all", lambda: _one(one.url, lacking) == 0)
    for each in (one, other):
        _wait("the tables follow", lambda url=each.url: _are_told(url))  # type: ignore[misc]  # a default binds it


def _are_told(url: str) -> bool:
    found = positions.positions(url)
    return bool(found) and all(one.is_built and one.lag == 0 and not one.parked for one in found)


# -- copies


def _copy(world: World, when: str) -> None:
    """Take a base backup, packed, and a dump of each database, and close the segment of the log."""
    programs, running = world.running.program("postgres").parent, world.running
    target = world.copies / when
    target.mkdir()
    _call(
        programs / "pg_basebackup",
        *("--pgdata", str(target / "base"), "--format=tar", "--gzip", "--wal-method=none", "--checkpoint=fast"),
        *("--no-sync", "--dbname", running.dsn("replication")),
    )
    for name in DATABASES:
        dump = ("--format=custom", "--file", str(target / f"{name}.dump"), "--dbname", running.dsn(name))
        _call(programs / "pg_dump", "--no-unlogged-table-data", *dump)
    _close_segment(world)


def _call(program: Path, *words: str) -> None:
    subprocess.run([program, *words], check=True, capture_output=True, timeout=600)  # noqa: S603  # PostgreSQL's own


def _close_segment(world: World) -> str:
    """Have all that was logged so far archived; return the name of the last segment."""
    with connect(world.running.dsn()) as session:
        session.execute("SELECT pg_logical_emit_message(false, 'ncen', 'turn', true)")
        row = session.execute("SELECT pg_walfile_name(pg_switch_wal() - 1)").fetchone()
        session.execute("CHECKPOINT")
    last = str(row[0]) if row else ""
    _wait("the log is archived", (world.archive / f"{last}{archiving.ENDING}").exists)
    return last


def _look_before(world: World) -> None:
    """The control: the data files hold everybody before they are erased, and neither archive nor copies ever did."""
    with connect(world.running.dsn()) as session:
        write_out(session)
    data = world.running.place / "data" / "base"
    some = world.erased[:SOME]
    everybody = 2 * len(some)  # a row of a person and one of a name, at least
    there = world.scan(some, data).residues
    world.controls.append(Control("data files before the erasure", everybody, there))
    kept = world.scan(some, world.archive, world.copies)
    world.controls.append(Control("archive, backup and dump before the erasure", 0, kept.residues))
    dump = world.home / "careless.dump"
    words = ("--format=custom", "--file", str(dump), "--dbname", world.sides[0].url)
    _call(world.running.program("pg_dump"), *words)
    found = world.scan(some, dump).residues
    dump.unlink()
    world.controls.append(Control("a dump with the rows of unlogged tables", everybody, found))


# -- erasing


def _erase(world: World) -> None:
    one, other = world.sides
    with Eraser.open(one.url, node=one.code, keys=one.keys) as eraser:
        eraser.erase_all([each.record_id for each in world.erased], "person", ErasureGrounds.RETENTION_EXPIRED, DPO)
    many = len(world.erased)
    _wait(
        "the peer has erased and signed for it",
        lambda: _one(one.url, "SELECT count(*) FROM exchange.erasure_notice WHERE confirmation IS NOT NULL") == many,
    )
    for each in (one, other):
        _wait("the tables forget", lambda url=each.url: _is_forgotten(url))  # type: ignore[misc]  # a default binds it
        _wait("the tables follow", lambda url=each.url: _are_told(url))  # type: ignore[misc]  # as above


def _is_forgotten(url: str) -> bool:
    with connect(url) as session:
        done = erasure.listed(session, "erased_at IS NOT NULL")
    return bool(done) and forgetting.is_forgotten(url, done)


def _rotate(world: World) -> None:
    for each in world.sides:
        epochs.rotate(each.url, each.keys)
        _wait("the files are cleared", lambda url=each.url: forgetting.clear(url).left == ())  # type: ignore[misc]  # as above
    _close_segment(world)
    with connect(world.running.dsn()) as session:
        session.execute("CHECKPOINT")


# -- each safeguard taken away


def _take_away(world: World) -> None:
    """Let the server sample names, and then log their table: the archive must show those who stay."""
    world.running.start()
    url = world.sides[0].url
    for what, statements in (
        (
            "samples of names reach the archive",
            ("ALTER TABLE read.person_name ALTER COLUMN name SET STATISTICS 10000", "ANALYZE read.person_name"),
        ),
        ("a logged table reaches the archive", ("ALTER TABLE read.person_name SET LOGGED",)),
    ):
        last = _close_segment(world)
        with connect(url, statement_timeout_ms=0) as session:
            for statement in statements:
                session.execute(statement.encode())
        _close_segment(world)
        later = [path for path in world.archive.glob(f"*{archiving.ENDING}") if path.name[:24] > last]
        world.controls.append(Control(what, 1, world.scan(world.stay, *later).residues))


def _one(url: str, query: str) -> int | None:
    with connect(url) as session:
        row = session.execute(query.encode()).fetchone()
    return None if row is None else int(row[0])


def _wait(what: str, is_so: Callable[[], bool]) -> None:
    if not until(is_so, wait_s=WAIT_S, step_s=0.1):
        raise Unfinished(f"It did not come to pass that {what}.")


def main() -> int:
    """Do it as often as it takes to be believed, once by default; 1 when something is left."""
    parser = argparse.ArgumentParser(prog="python -m soak.residue", description=__doc__)
    parser.add_argument("--subjects", type=int, default=100_000)
    parser.add_argument("--erased", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    done = run(told.subjects, told.erased, told.seed, say)
    sys.stdout.write(f"{msgspec.json.format(msgspec.json.encode(done)).decode()}\n")
    return 0 if done.passed else 1


if __name__ == "__main__":
    sys.exit(main())
