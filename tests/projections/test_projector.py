"""The projector keeps up, rebuilds while it serves, parks what it cannot apply, and survives what befalls it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg

from domain.codes import Reason
from domain.seizure import AddGoods, CorrectGoods, CorrectSeizure, SubmitSeizure
from ledger.ledger import Asked, Ledger
from projections import fresh, positions, seizures
from projections.asking import snapshot
from projections.catalogue import PROJECTIONS
from projections.positions import parked, rebuild, retry, wait_for
from projections.projection import Projection
from projections.statistics import seizure_statistics
from tests.projections.conftest import OFFICER, Node
from tests.projections.invented import goods, named, party, seizure

PATIENCE_S = 60.0
SEIZURES = cast("Projection", seizures)


def until(done: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def record_many(node: Node, count: int) -> int:
    """Record seizures, each with an amendment, and give the head."""
    ids = [Ledger.new_id() for _ in range(count)]
    commands: list[Any] = [seizure(goods("0.1")), CorrectGoods(line=1, goods=goods("0.3"), reason=Reason.RECOUNT)]
    for command in commands:
        asked = [Asked(record_id=one, command=command, command_id=Ledger.new_id()) for one in ids]
        node.ledger.execute_all(asked, OFFICER)
    return node.seal()


def test_it_keeps_up_and_lets_writers_read_what_they_wrote(node: Node) -> None:
    with node.projector():
        for number in range(1, 4):
            who = node.do(named("Ivan Petrov"))
            node.do(seizure(parties=(party(who),), narrative="under the seat"))
            head = node.seal()
            assert wait_for(node.database_url, head, PATIENCE_S)
            assert node.query("SELECT count(*) FROM read.narrative") == [(number,)]
        assert not wait_for(node.database_url, head + 1, 0.05)
        found = positions.positions(node.database_url)
    assert [one.name for one in found] == sorted(PROJECTIONS)
    assert {(one.position, one.lag, one.parked, one.rebuilding_at) for one in found} == {(head, 0, 0, None)}
    live = node.dump()
    node.rebuild()
    assert node.dump() == live


def test_there_is_one_runner_for_a_projection_and_another_takes_over(node: Node) -> None:
    node.do(seizure())
    with node.projector([SEIZURES]) as first:
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
        with node.projector([SEIZURES]):
            node.do(seizure())
            assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
            first.set()
            node.do(seizure())
            assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
    assert node.query("SELECT count(*) FROM read.seizure") == [(3,)]


def test_a_rebuild_goes_on_beside_the_tables_that_serve(node: Node) -> None:
    head = record_many(node, 1_500)
    expected = [{"unit": "KGM", "quantity": "450", "seizures": 1500, "lines": 1500}]
    with node.projector([SEIZURES]), psycopg.connect(node.database_url, autocommit=True) as reading:
        assert wait_for(node.database_url, head, PATIENCE_S, ["seizures"])
        oid = node.query("SELECT 'read.seizure'::regclass::oid")
        for _ in range(2):
            rebuild(node.database_url, "seizures")
            answers = 0
            while node.query("SELECT count(*) FROM read.position WHERE is_fresh") != [(0,)]:
                figures = seizure_statistics(reading, [])
                assert list(figures.rows) == expected
                assert figures.position == head
                answers += 1
            assert answers
        assert node.query("SELECT 'read.seizure'::regclass::oid") != oid, "other tables serve now"
        node.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA09"), node.do(seizure(goods("1"))))
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
        assert seizure_statistics(reading, []).rows[0]["quantity"] == "451"
    assert node.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'read_fresh'") == [(0,)]
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'read' AND starts_with(tablename, 'seizure')"
    named_indexes = sum(len(table.indexes) for table in seizures.TABLES)
    assert node.query(indexes) == [(named_indexes + len(seizures.TABLES),)]


def test_the_swap_gives_way_to_a_reader_and_comes_after_it(node: Node) -> None:
    record_many(node, 3)
    with node.projector([SEIZURES]), psycopg.connect(node.database_url) as reader:
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
        reader.execute("SELECT count(*) FROM read.seizure")  # and stays in its transaction
        rebuild(node.database_url, "seizures")
        until(lambda: positions.positions(node.database_url)[0].rebuilding_at == 6, "the fresh tables are filled")
        time.sleep(1.5)
        assert positions.positions(node.database_url)[0].rebuilding_at == 6
        assert node.query("SELECT count(*) FROM read.seizure WHERE until_position IS NULL") == [(3,)]
        reader.rollback()
        until(lambda: positions.positions(node.database_url)[0].rebuilding_at is None, "the swap is tried again")


def test_an_answer_is_not_torn_by_a_swap_in_the_middle_of_it(node: Node) -> None:
    record_many(node, 3)
    node.project()
    with node.built(SEIZURES) as slot, psycopg.connect(node.database_url) as reading:
        with snapshot(reading, "seizures") as (cursor, position):
            assert not fresh.swap(slot, SEIZURES), "it would show tables of which the snapshot sees only a part"
            assert position == 6
            assert cursor.execute("SELECT count(*) FROM read.seizure").fetchone() == (3,)
        assert fresh.swap(slot, SEIZURES)


def test_fresh_tables_that_are_to_be_begun_anew_do_not_take_over(node: Node) -> None:
    """Else what serves would stand before its beginning, and all be told into it a second time."""

    def stands() -> tuple[int, int | None, int]:
        (one,) = [one for one in positions.positions(node.database_url) if one.name == "seizures"]
        return one.position, one.rebuilding_at, one.parked

    record_many(node, 3)
    node.project()
    with node.built(SEIZURES) as slot:
        rebuild(node.database_url, "seizures")  # asked for when the runner had looked
        assert not fresh.swap(slot, SEIZURES)
        assert stands() == (6, -1, 0)
    with node.projector([SEIZURES]):
        until(lambda: stands()[1] is None, "they are begun anew")
    assert stands() == (6, None, 0)


def test_fresh_tables_begin_with_nothing_parked(node: Node) -> None:
    """Else entries would wait for one that is told only after them."""
    record_many(node, 1)
    node.project()
    with node.built(SEIZURES) as slot:
        (record_id,) = node.query("SELECT record_id FROM ledger.entry LIMIT 1")[0]
        with slot.transaction() as cursor:  # as a runner does that was at work when it was asked for
            slot._park(cursor, 2, record_id, "ValueError")
        fresh.make_fresh(slot, SEIZURES)
        slot.look()
        assert slot.position == 0
        assert node.query("SELECT count(*) FROM read.parked WHERE is_fresh") == [(0,)]


def changed(version: int) -> Projection:
    """The projection of seizures as another version of its code would have it: offices in small letters."""
    told = {name: getattr(seizures, name) for name in ("NAME", "TABLES", "NAMES")}

    def apply(cursor: Any, entries: Any, past: Any) -> None:  # noqa: ANN401  # as the projector calls it
        seizures.apply(cursor, entries, past)
        cursor.execute("UPDATE seizure SET office = lower(office)")

    return cast("Projection", SimpleNamespace(**told, VERSION=version, apply=apply))


def test_a_new_version_of_the_code_rebuilds_by_itself(node: Node) -> None:
    record_many(node, 2)
    with node.projector([SEIZURES]):
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
    node.do(seizure())
    head = node.seal()
    with node.projector([changed(2)]):
        assert wait_for(node.database_url, head, PATIENCE_S, ["seizures"])
        until(lambda: positions.positions(node.database_url)[0].version == 2, "the new version has taken over")
    assert node.query("SELECT DISTINCT office FROM read.seizure") == [("xa01",)]
    assert node.query("SELECT count(*) FROM read.seizure") == [(3,)]


def test_a_poison_entry_is_parked_with_what_follows_it_and_the_rest_flows(node: Node) -> None:
    node.project()
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE read.seizure_line ADD CONSTRAINT unlucky CHECK (quantity <> 13)")
    before = [node.do(seizure(goods("1"))) for _ in range(150)]
    poisoned = node.do(seizure(goods("2")))
    node.do(CorrectGoods(line=1, goods=goods("13"), reason=Reason.RECOUNT), poisoned)
    node.do(AddGoods(goods=goods("3"), reason=Reason.INCOMPLETE), poisoned)
    node.do(SubmitSeizure(), before[0])
    head = node.project()
    assert [(one.projection, one.position, one.record_id, one.error) for one in parked(node.database_url)] == [
        ("seizures", 152, poisoned, "CheckViolation"),
        ("seizures", 153, poisoned, "AfterParked"),
    ]
    assert {one.position for one in positions.positions(node.database_url)} == {head}
    assert {one.name: one.parked for one in positions.positions(node.database_url)}["seizures"] == 2
    assert current_lines(node, poisoned) == [(1, Decimal(2))], "it stands as it did before the entry at fault"
    assert node.query("SELECT count(*) FROM read.seizure WHERE status = 'submitted'") == [(1,)]

    node.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA09"), poisoned)
    node.project()
    assert [one.error for one in parked(node.database_url)] == ["CheckViolation", "AfterParked", "AfterParked"]
    assert retry(node.database_url) == 1
    node.project()
    assert next(one.error for one in parked(node.database_url)) == "CheckViolation", "the cause has not been mended"
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE read.seizure_line DROP CONSTRAINT unlucky")
    assert retry(node.database_url, "seizures", poisoned) == 1
    node.project()
    assert parked(node.database_url) == []
    assert current_lines(node, poisoned) == [(1, Decimal(13)), (2, Decimal(3))]
    live = node.dump()
    node.rebuild()
    assert node.dump() == live


def current_lines(node: Node, record_id: UUID) -> list[tuple[Any, ...]]:
    return node.query(
        "SELECT line, quantity FROM read.seizure_line WHERE record_id = %s AND until_position IS NULL ORDER BY line",
        record_id,
    )


def test_an_entry_whose_bytes_are_damaged_is_parked_and_the_rest_flows(node: Node) -> None:
    first, damaged, last = (node.do(seizure(office=office)) for office in ("XA01", "XA02", "XA03"))
    node.do(SubmitSeizure(), damaged)
    node.seal()
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ledger.entry DISABLE TRIGGER ALL")
        connection.execute("UPDATE ledger.entry SET body = 'nonsense' WHERE record_id = %s AND version = 1", [damaged])
    head = node.project()
    assert [(one.position, one.error) for one in parked(node.database_url)] == [(2, "Damaged"), (4, "AfterParked")]
    assert node.query("SELECT record_id FROM read.seizure ORDER BY record_id") == [(first,), (last,)]
    assert {one.position for one in positions.positions(node.database_url)} == {head}


def test_a_lost_connection_is_opened_again(node: Node) -> None:
    with node.projector([SEIZURES]):
        node.do(seizure())
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
        ended = node.query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'ncen project%%'"
        )
        assert ended == [(1,)]
        node.do(seizure())
        assert wait_for(node.database_url, node.seal(), PATIENCE_S, ["seizures"])
    assert node.query("SELECT count(*) FROM read.seizure") == [(2,)]


PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from projections import projector, seizures, slot
moment, after = sys.argv[3], int(sys.argv[4])
seen = 0
reach, advance = slot.Slot._reach, slot.Slot.advance

def die_when(now):
    global seen
    if now == moment:
        seen += 1
        if seen == after:
            os.kill(os.getpid(), signal.SIGKILL)

def reaching(self, cursor, batch):
    die_when("before the position")
    reach(self, cursor, batch)
    die_when("before the commit")

def advancing(self, batch):
    advance(self, batch)
    die_when("after the commit")

slot.Slot._reach, slot.Slot.advance = reaching, advancing
import projections.feed
projections.feed.Feed.read.__defaults__ = (50,)
stop = threading.Event()
projector.run(sys.argv[1], keys=Path(sys.argv[2]), stop=stop, projections=[seizures])
"""


def start(node: Node, moment: str = "never", after: int = 0) -> subprocess.Popen[bytes]:
    """A projector in a process of its own, in batches of 50, that kills itself at the nth such moment."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, node.database_url, str(node.keys), moment, str(after)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )


def position(node: Node) -> int:
    return next((one.position for one in positions.positions(node.database_url) if one.name == "seizures"), -1)


def test_killed_at_the_seam_every_entry_is_applied_exactly_once(node: Node) -> None:
    head = record_many(node, 200)
    before = 0
    for moment, reached in (("before the position", 50), ("before the commit", 100), ("after the commit", 200)):
        process = start(node, moment, 2)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert position(node) == reached, moment
        assert node.query("SELECT max(from_position) FROM read.seizure_line") == [(reached,)], moment
        assert position(node) > before
        before = position(node)
    finish(node, head)
    assert node.query("SELECT sum(quantity), count(*) FROM read.seizure_line WHERE until_position IS NULL") == [
        (Decimal("60.0"), 200)
    ]


def test_killed_while_rebuilding_it_goes_on_and_the_old_tables_serve(node: Node) -> None:
    head = record_many(node, 200)
    node.project()
    rebuild(node.database_url, "seizures")
    for moment in ("before the commit", "after the commit"):
        assert start(node, moment, 3).wait(PATIENCE_S) == -signal.SIGKILL
        assert node.query("SELECT count(*) FROM read.seizure_line WHERE until_position IS NULL") == [(200,)]
    (at,) = [one.rebuilding_at for one in positions.positions(node.database_url) if one.name == "seizures"]
    assert at == 250, "two batches of the first, three of the second"
    finish(node, head)


def finish(node: Node, head: int) -> None:
    """Let an undisturbed process do the rest, and compare with tables built anew."""
    process = start(node)
    try:
        assert wait_for(node.database_url, head, PATIENCE_S, ["seizures"])
        until(lambda: node.query("SELECT count(*) FROM read.position WHERE is_fresh") == [(0,)], "it is rebuilt")
    finally:
        process.kill()
        process.wait()
    node.project()
    live = node.dump()
    node.rebuild()
    assert node.dump() == live
