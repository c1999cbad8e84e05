"""The sealer: everything that was committed gets a position, once, without gaps, in an order that holds for ever."""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from ledger import merkle, sealer
from ledger.ledger import Asked, Ledger, Reader
from ledger.sealer import Sealer, seal_once
from ledger.sessions import Session, connect
from ledger.tree import Tree
from ledger.verify import verify
from tests.ledger.conftest import sealing
from tests.ledger.samples import OFFICER, seizure

WRITING_S = 60.0 if os.environ.get("NCEN_SOAK") else 3.0

RAW = """
    INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
                              attribution, attribution_salt)
    SELECT %s, %s, 1, now(), 'NL', 'seizure.recorded', false, body, attribution, attribution_salt
    FROM ledger.entry ORDER BY xid, ordinal LIMIT 1
"""


def _record(ledger: Ledger, count: int) -> None:
    asked = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(count)]
    ledger.execute_all(asked, OFFICER)


def _positions(session: Session) -> list[int]:
    return [row[0] for row in session.execute("SELECT position FROM ledger.sealed ORDER BY position")]


@contextmanager
def _writing(database_url: str, ledger: Ledger, seconds: float) -> Iterator[list[int]]:
    """Write for a while: six who dawdle before they commit or give up, and two through the ledger; count commits."""
    until, counts = time.monotonic() + seconds, [0] * 8

    def dawdle(number: int) -> None:
        dice = random.Random(number)
        with connect(database_url) as connection:
            while time.monotonic() < until:
                lines = dice.randint(1, 3)
                with connection.transaction(force_rollback=dice.random() < 0.1) as transaction:
                    for ordinal in range(lines):
                        connection.execute(RAW, [ordinal, Ledger.new_id()])
                        time.sleep(dice.random() * 0.02 if dice.random() < 0.3 else 0)
                if not transaction.force_rollback:
                    counts[number] += lines

    def ask(number: int) -> None:
        while time.monotonic() < until:
            counts[number] += ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER).version

    threads = [threading.Thread(target=dawdle if number < 6 else ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    yield counts
    for thread in threads:
        thread.join()


def _tail(reader: Reader, seen: list[tuple[int, object, int]], stop: threading.Event) -> None:
    """Follow the ledger as everything downstream does."""
    after = 0
    while not stop.is_set():
        reader.wait(after, 0.2)
        while entries := reader.read(after, 500):
            seen += [(entry.position or 0, entry.record_id, entry.version) for entry in entries]
            after = entries[-1].position or 0


def test_reader_misses_repeats_and_reorders_nothing(database_url: str, ledger: Ledger, reader: Reader) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    seen: list[tuple[int, object, int]] = []
    stop = threading.Event()
    tail = threading.Thread(target=_tail, args=(reader, seen, stop))
    tail.start()
    with sealing(database_url):
        with _writing(database_url, ledger, WRITING_S) as counts:
            pass
        written = sum(counts) + 1
        deadline = time.monotonic() + 20
        while len(seen) < written and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        stop.set()
        tail.join()
    assert len(seen) == written > 200
    assert [position for position, _, _ in seen] == list(range(1, written + 1))
    assert len({place[1:] for place in seen}) == written
    verdict = verify(database_url, stop_at_first=False)
    assert (verdict.faults, verdict.entries, verdict.unsealed) == ((), written, 0)


def test_order_holds_where_transaction_numbers_grow_a_digit(
    database_url: str, ledger: Ledger, session: Session
) -> None:
    """As text, 10000 comes before 9999."""
    row = session.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    boundary = 10 ** len(str(row[0] + 50))
    if boundary > 200_000:
        pytest.skip("this server's transaction numbers are far from the next boundary")
    _burn(database_url, boundary - 25)
    for _ in range(60):
        ledger.execute(ledger.new_id(), seizure(), OFFICER)
        seal_once(session)
    _record(ledger, 30)
    while seal_once(session):
        pass
    numbers = session.execute("SELECT xid::text::bigint FROM ledger.sealed ORDER BY position").fetchall()
    assert numbers == sorted(numbers)
    assert numbers[0][0] < boundary < numbers[-1][0]
    assert verify(database_url).entries == 90
    assert verify(database_url).is_sound


def _burn(database_url: str, until: int) -> None:
    """Use up transaction numbers."""
    with connect(database_url, statement_timeout_ms=0) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            f"""DO $$ BEGIN
            WHILE pg_current_xact_id() < '{until}'::xid8 LOOP COMMIT; END LOOP; END $$""".encode()
        )


def test_open_transaction_holds_up_what_came_after_it_and_loses_nothing(
    database_url: str, ledger: Ledger, session: Session
) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    assert seal_once(session) == 1
    early, early_id = connect(database_url), ledger.new_id()
    with early:
        with early.transaction():
            early.execute(RAW, [0, early_id])
            late = ledger.execute(ledger.new_id(), seizure(), OFFICER)
            assert seal_once(session) == 0
        assert seal_once(session) == 2
    rows = session.execute("SELECT record_id FROM ledger.sealed ORDER BY position").fetchall()
    assert rows[1:] == [(early_id,), (late.record_id,)]


def test_sealing_in_small_batches_gives_the_same_tree(
    ledger: Ledger, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "MOST_ENTRIES", 7)
    _record(ledger, 600)
    sealed = 0
    while count := seal_once(session):
        assert count == min(7, 600 - sealed)
        sealed += count
    leaves = [row[0] for row in session.execute("SELECT leaf FROM ledger.sealed ORDER BY position")]
    assert Tree(session).root(600) == merkle.root(leaves)
    rows = session.execute("SELECT level, number, hash FROM ledger.subtree ORDER BY number").fetchall()
    assert rows == [(8, 0, merkle.root(leaves[:256])), (8, 1, merkle.root(leaves[256:512]))]


def test_rival_sealers_number_each_entry_once(database_url: str, ledger: Ledger, session: Session) -> None:
    with sealing(database_url), sealing(database_url), sealing(database_url):
        for _ in range(40):
            _record(ledger, 45)
        last = ledger.execute(ledger.new_id(), seizure(), OFFICER)
        assert ledger.wait_sealed(last.record_id, 1, 20) == 1801
    assert _positions(session) == list(range(1, 1802))
    assert verify(database_url).is_sound


def test_sealer_that_was_overtaken_takes_up_where_the_other_stopped(
    database_url: str, ledger: Ledger, session: Session
) -> None:
    with connect(database_url) as other:
        first, second = Sealer(session), Sealer(other)
        for _ in range(3):
            _record(ledger, 50)
            rows = first._lines(sealer._LINES + sealer._ENDED + sealer._IN_ORDER, (first._xid, first._ordinal))
            assert second.seal() == 50
            with session.transaction():
                assert not first._number(rows, sealer._place(rows[-1]))
            assert first.seal() == 0  # it finds that it was overtaken
    assert _positions(session) == list(range(1, 151))


def test_sealer_comes_back_when_its_session_is_ended(database_url: str, ledger: Ledger, session: Session) -> None:
    with sealing(database_url):
        for _ in range(3):
            last = ledger.execute(ledger.new_id(), seizure(), OFFICER)
            ledger.wait_sealed(last.record_id, 1, 10)
            session.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()""")
    assert verify(database_url).entries == 3


def test_idle_sealer_uses_no_transaction_numbers(database_url: str, ledger: Ledger, session: Session) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    with sealing(database_url):
        time.sleep(0.3)
        used = [_numbers_used(session, within_s=0.5) for _ in range(6)]
    assert min(used) < 3, "the server's own housekeeping uses some now and then, a sealer that did would each time"


def _numbers_used(session: Session, within_s: float) -> int:
    """How many transaction numbers the server has given in a while."""
    query = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    before = session.execute(query).fetchone()
    time.sleep(within_s)
    after = session.execute(query).fetchone()
    assert before is not None
    assert after is not None
    return int(after[0]) - int(before[0])


def test_entries_are_inserted_only(ledger: Ledger, session: Session) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    seal_once(session)
    for table, column in (("entry", "version"), ("sealed", "version"), ("subtree", "level"), ("numbering", "began_at")):
        for statement in (f"UPDATE ledger.{table} SET {column} = {column}", f"DELETE FROM ledger.{table}"):
            with pytest.raises(psycopg.errors.RestrictViolation, match="only ever inserted"):
                session.execute(statement.encode())
        with pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(f"TRUNCATE ledger.{table}".encode())


def test_every_entry_and_every_growth_is_proven(ledger: Ledger, session: Session, reader: Reader) -> None:
    _record(ledger, 700)
    seal_once(session)
    lines = reader.read_stored(0, 700)
    dice, tree = random.Random(1), Tree(session)
    for size in (1, 2, 255, 256, 257, 511, 512, 513, 640, 700):
        root = merkle.root([line.leaf for line in lines[:size]])
        assert tree.root(size) == root
        for position in {1, size, *(dice.randint(1, size) for _ in range(5))}:
            proof = tree.prove_inclusion(position, size)
            assert merkle.verify_inclusion(lines[position - 1].leaf, position - 1, size, proof, root)
            grown = tree.prove_consistency(position, size)
            assert merkle.verify_consistency(position, size, grown, tree.root(position), root)
