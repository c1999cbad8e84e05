"""The simulated server keeps PostgreSQL's rules that our statements rely on; each of them is seen to matter."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.simulation.disk import Server, Transaction
from tests.simulation.session import Answer, Session, statement
from tests.simulation.world import Broken, Unknown, World


@statement("put")
def _put(_session: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    transaction.put("t", (parameters[0],), {"value": parameters[1]})
    return [], 1


@statement("add")
def _add(_session: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    transaction.insert("t", (parameters[0],), {"value": parameters[1]})
    return [], 1


def server(seed: int = 0) -> Server:
    return Server(World(seed), "XA", {"t": {}})


def values(one: Server) -> dict[object, object]:
    return {key[0]: row["value"] for key, row in one.tables["t"].items()}


def test_what_was_flushed_survives_a_crash() -> None:
    one = server()
    Session(one).execute("put", ["a", 1])
    one.crash()
    assert values(one) == {"a": 1}


def test_what_was_not_flushed_may_be_gone_and_then_all_after_it_is_gone_too() -> None:
    kept = set()
    for seed in range(20):
        one = server(seed)
        session = Session(one, is_synchronous=False)
        for number in range(3):
            session.execute("put", [number, number])
        one.crash()
        assert list(values(one)) == list(range(len(values(one))))
        kept.add(len(values(one)))
    assert kept == {0, 1, 2, 3}


def test_a_later_flush_takes_along_what_was_written_before() -> None:
    one = server()
    Session(one, is_synchronous=False).execute("put", ["a", 1])
    Session(one).execute("put", ["b", 2])
    one.crash()
    assert values(one) == {"a": 1, "b": 2}


def test_a_savepoint_takes_back_what_came_after_it() -> None:
    one = server()
    session = Session(one)
    with session.transaction():
        session.execute("put", ["a", 1])
        with contextlib.suppress(ValueError), session.transaction():
            session.execute("put", ["b", 2])
            raise ValueError
    assert values(one) == {"a": 1}


def test_a_failed_transaction_takes_no_more() -> None:
    one = server()
    session = Session(one)
    session.execute("add", ["a", 1])
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        add_twice_and_go_on(session)
    assert values(one) == {"a": 1}


def add_twice_and_go_on(session: Session) -> None:
    with session.transaction():
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            session.execute("add", ["a", 2])
        session.execute("put", ["b", 2])


def test_a_session_of_a_server_that_crashed_is_broken() -> None:
    one = server()
    session = Session(one)
    one.crash()
    with pytest.raises(psycopg.OperationalError):
        session.execute("put", ["a", 1])


def test_a_statement_that_nobody_told_is_refused() -> None:
    with pytest.raises(Unknown, match="does not know this statement: SELECT 1"):
        Session(server()).execute("SELECT 1")


def test_who_wants_the_same_row_waits_and_who_wants_the_same_key_is_refused() -> None:
    refused = 0
    for seed in range(20):
        world = World(seed)
        one = Server(world, "XA", {"t": {}})
        faults: list[psycopg.Error] = []
        for number in range(2):
            world.spawn(f"writer {number}", adding(one, number, faults))
        world.run(500)
        assert list(values(one)) == ["a"]
        assert [type(fault) for fault in faults] == [psycopg.errors.UniqueViolation]
        refused += len(faults)
    assert refused == 20


def adding(one: Server, number: int, faults: list[psycopg.Error]) -> Callable[[], None]:
    def work() -> None:
        try:
            Session(one).execute("add", ["a", number])
        except psycopg.Error as fault:
            faults.append(fault)

    return work


def test_those_who_wait_for_each_other_are_told() -> None:
    deadlocks = 0
    for seed in range(20):
        world = World(seed)
        one = Server(world, "XA", {"t": {}})
        faults: list[psycopg.Error] = []
        for keys in (["a", "b"], ["b", "a"]):
            world.spawn(f"writer {keys}", putting(one, keys, faults))
        world.run(500)
        assert not world.tasks
        deadlocks += len(faults)
    assert 0 < deadlocks < 20


def putting(one: Server, keys: list[str], faults: list[psycopg.Error]) -> Callable[[], None]:
    def work() -> None:
        session = Session(one)
        try:
            with session.transaction():
                for key in keys:
                    session.execute("put", [key, 1])
        except psycopg.errors.DeadlockDetected as fault:
            faults.append(fault)

    return work


def test_a_killed_client_leaves_its_commit_to_the_server_and_nothing_else() -> None:
    left = set()
    for seed in range(40):
        world = World(seed)
        one = Server(world, "XA", {"t": {}})
        task = world.spawn("writer", partial(writing, one))
        world.run(seed % 6)
        world.kill([task])
        assert not one.active
        assert not one.locks
        before = values(one)
        one.crash()
        assert values(one) == before
        left.add(len(before))
    assert left == {0, 1}


def writing(one: Server) -> None:
    Session(one).execute("put", ["a", 1])


def test_a_task_that_dies_of_an_error_is_told() -> None:
    world = World(0)
    world.spawn("clumsy", clumsy)
    with pytest.raises(Broken, match=r"clumsy died of LookupError\."):
        world.run(5)


def clumsy() -> None:
    raise LookupError
