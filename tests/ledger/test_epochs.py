"""Rotation of the epoch: the living stay readable, copies of the dead open no more, and no writer loses a key."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.event import Erased
from ledger import epochs, erasure, insertion
from ledger.erasure import Eraser
from ledger.errors import Conflict, Damaged
from ledger.insertion import Plan
from ledger.keyring import Keyring
from ledger.ledger import Asked, Ledger
from ledger.sessions import Session
from tests.ledger.samples import OFFICER, seizure
from tests.ledger.test_erasure import CUSTODIAN, EXPIRED, on_record

SEED = 20_260_301


def record(ledger: Ledger, count: int = 1) -> list[UUID]:
    told = seizure(narrative="found at the border")
    asked = [Asked(record_id=ledger.new_id(), command=told, command_id=ledger.new_id()) for _ in range(count)]
    ledger.execute_all(asked, OFFICER)
    return [one.record_id for one in asked]


def unreadable(database_url: str, keys: Path, record_ids: Sequence[UUID]) -> int:
    """How many of these records a node that is opened now cannot read."""
    with Ledger.open(database_url, node="NL", keys=keys) as fresh:
        stands = fresh.stands(record_ids)
    return sum(any(isinstance(entry.event, Erased) for entry in stand.entries) for stand in stands.values())


def test_the_living_stay_readable_under_a_new_epoch(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    ids = record(ledger, 50)
    first = epochs.rotate(database_url, keys)
    assert (first.epoch, first.rewrapped, first.destroyed) == (2, 50, (1,))
    assert sorted(path.name for path in keys.glob("epoch-*")) == ["epoch-2.key"]
    assert session.execute("SELECT DISTINCT epoch FROM ledger.subject_key").fetchall() == [(2,)]
    assert unreadable(database_url, keys, ids) == 0
    ids += record(ledger, 3)  # a process that was open before wraps under the new epoch
    assert session.execute("SELECT DISTINCT epoch FROM ledger.subject_key").fetchall() == [(2,)]
    assert epochs.rotate(database_url, keys).destroyed == (2,)
    assert unreadable(database_url, keys, ids) == 0
    stands = epochs.standing(database_url, keys)
    assert (stands.epoch, stands.keys, stands.lost) == (3, {3: 53}, 0)


@pytest.mark.parametrize("is_kept", [False, True], ids=["destroyed", "control: the old epoch key is kept"])
def test_a_copy_of_a_deleted_key_opens_no_more(
    is_kept: bool, ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    who, case = on_record(ledger)
    copies = session.execute("SELECT * FROM ledger.subject_key").fetchall()
    old = (keys / "epoch-1.key").read_bytes()
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        eraser.erase(who, "person", EXPIRED, CUSTODIAN)
    epochs.rotate(database_url, keys)
    session.execute(f"ALTER TABLE ledger.subject_key DROP CONSTRAINT {insertion.EPOCH_GUARD}")
    for row in copies:  # from the write-ahead log, a dump or a backup
        session.execute("INSERT INTO ledger.subject_key VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", row)
    if is_kept:
        (keys / "epoch-1.key").write_bytes(old)
        (keys / "epoch-1.key").chmod(0o600)
    assert unreadable(database_url, keys, [who, case]) == (0 if is_kept else 2)


def test_the_promise_of_an_erasure_is_kept_by_the_next_rotation(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    who, _ = on_record(ledger)
    with Eraser.open(database_url, node="NL", keys=keys) as eraser:
        eraser.erase(who, "person", EXPIRED, CUSTODIAN)
    assert epochs.standing(database_url, keys).not_destroyed == 1
    epochs.rotate(database_url, keys)
    (done,) = erasure.listed(session)
    assert done.destroyed_at is not None
    assert done.destroyed_at < done.promised_by
    assert epochs.standing(database_url, keys).not_destroyed == 0


# ---------------------------------------------------------------- others at work


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "control: no guard"])
def test_a_key_wrapped_before_and_recorded_after_is_not_lost(
    is_guarded: bool, ledger: Ledger, database_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotations: list[epochs.Rotated] = []
    insert = insertion.insert

    def slow(session: Session, plans: Sequence[Plan]) -> None:
        if not rotations:
            rotations.append(epochs.rotate(database_url, keys))
        insert(session, plans)

    if not is_guarded:
        monkeypatch.setattr("ledger.epochs._guard", lambda *_: None)
    monkeypatch.setattr("ledger.insertion.insert", slow)
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told by hand"), OFFICER).record_id
    assert rotations[0].destroyed == (1,)
    assert unreadable(database_url, keys, [record_id]) == (0 if is_guarded else 1)


def test_many_writers_lose_nothing_while_epochs_come_and_go(ledger: Ledger, database_url: str, keys: Path) -> None:
    ids = record(ledger, 500)
    stop = threading.Event()
    faults: list[BaseException] = []

    def write(size: int) -> None:
        try:
            with Ledger.open(database_url, node="NL", keys=keys) as own:
                while not stop.is_set():
                    if size == 1:
                        ids.append(own.execute(own.new_id(), seizure(narrative="by hand"), OFFICER).record_id)
                    else:
                        ids.extend(record(own, size))
        except BaseException as fault:  # noqa: BLE001  # told by the test
            faults.append(fault)

    threads = [threading.Thread(target=write, args=[size]) for size in (1, 1, 7, 60)]
    for thread in threads:
        thread.start()
    turns = [epochs.rotate(database_url, keys) for _ in range(6)]
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [turn.destroyed for turn in turns] == [(number,) for number in range(1, 7)]
    assert len(ids) > 600
    assert unreadable(database_url, keys, ids) == 0
    assert unreadable(database_url, keys, ids) == 0


def test_who_looked_just_before_does_not_take_the_living_for_erased(
    ledger: Ledger, session: Session, database_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger)
    rows = session.execute("SELECT key_id FROM ledger.subject_key").fetchall()
    ledger.vault.forget()
    unwrap = ledger.vault.unwrap
    rotated: list[epochs.Rotated] = []

    def slow(wrapped: Any) -> Any:  # noqa: ANN401  # whatever it is given
        if not rotated:
            rotated.append(epochs.rotate(database_url, keys))
            assert ledger.vault._keyring is not None
            ledger.vault._keyring._epochs.clear()
        return unwrap(wrapped)

    monkeypatch.setattr(ledger.vault, "unwrap", slow)
    assert len(ledger.vault.find(session, [key_id for (key_id,) in rows])) == 1


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize("step", ["_guard", "_sweep", "_write", "_destroy_old", "_turn"])
def test_a_rotation_is_taken_up_where_it_was_cut_off(
    step: str, ledger: Ledger, database_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = record(ledger, 30)
    monkeypatch.setattr(epochs, "AT_ONCE", 10)
    original, calls = getattr(epochs, step), []

    def crash(*given: Any, **more: Any) -> Any:  # noqa: ANN401  # as the original
        calls.append(step)
        if step != "_write" or len(calls) == 2:
            raise KeyboardInterrupt
        return original(*given, **more)

    with monkeypatch.context() as broken:
        broken.setattr(epochs, step, crash)
        with pytest.raises(KeyboardInterrupt):
            epochs.rotate(database_url, keys)
    assert unreadable(database_url, keys, ids) == 0, "in the middle of it, all are readable"
    ids += record(ledger, 2)
    done = epochs.rotate(database_url, keys)
    assert (done.epoch, done.destroyed) == (2, (1,))
    assert [path.name for path in keys.glob("epoch-*")] == ["epoch-2.key"]
    assert unreadable(database_url, keys, ids) == 0


def test_killed_at_random_moments_it_loses_no_key(ledger: Ledger, database_url: str, keys: Path) -> None:
    ids = record(ledger, 3_000)
    program = (
        "from pathlib import Path; from ledger import epochs; epochs.AT_ONCE = 100\nprint('at work', flush=True)\n"
        f"while True: epochs.rotate({database_url!r}, Path({str(keys)!r}))"
    )
    chance = random.Random(SEED)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.6))
            process.kill()
        ids += record(ledger, 20)
    for _ in range(100):
        try:
            epochs.rotate(database_url, keys)
            break
        except Conflict:  # the killed one's session has not ended yet
            time.sleep(0.1)
    assert len(list(keys.glob("epoch-*"))) == 1
    assert unreadable(database_url, keys, ids) == 0


def test_a_changed_key_keeps_its_epoch_from_being_destroyed(
    ledger: Ledger, session: Session, database_url: str, keys: Path
) -> None:
    ids = record(ledger, 3)
    session.execute("UPDATE ledger.subject_key SET wrapped = set_byte(wrapped, 20, 0) WHERE record_id = %s", [ids[0]])
    with pytest.raises(Damaged, match="its epoch 1 is not destroyed"):
        epochs.rotate(database_url, keys)
    assert Keyring.open(keys).epochs() == [1, 2]
    assert unreadable(database_url, keys, ids[1:]) == 0
