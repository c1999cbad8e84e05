"""Commands and their answers: recorded once, decided again when another was quicker, each with its own answer."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from domain.codes import Reason
from domain.entry import Entry
from domain.premise import ResumePremise
from domain.refused import Refused
from domain.seizure import (
    CancelSeizure,
    CorrectSeizure,
    GoodsAdded,
    NarrativeWritten,
    NotePlates,
    Plate,
    RecordSeizure,
    RestateSeizure,
    Seizure,
    SeizureRecorded,
    SubmitSeizure,
    ValidateSeizure,
    WriteNarrative,
)
from ledger.errors import Unsafe
from ledger.ledger import Asked, Ledger, Reader, Recorded
from ledger.sessions import Session
from tests.ledger.samples import COCAINE, OFFICER, SUPERVISOR, TOBACCO, more_goods, seizure


def _asked(record_id: UUID, command: object) -> Asked:
    return Asked(record_id=record_id, command=command, command_id=Ledger.new_id())  # type: ignore[arg-type]


def _together(work: Callable[[int], object], threads: int) -> list[BaseException]:
    """Run in threads that start at one moment; return what they raised."""
    start, faults = threading.Barrier(threads), []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as fault:  # noqa: BLE001  # told to the test
            faults.append(fault)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return faults


def test_command_is_recorded_and_read_back(ledger: Ledger) -> None:
    record_id, command_id = ledger.new_id(), ledger.new_id()
    before = datetime.now(UTC)
    answer = ledger.execute(record_id, seizure(narrative="told by hand"), OFFICER, command_id=command_id)
    assert (answer.record_id, answer.version, answer.is_repeated) == (record_id, 2, False)
    entries = ledger.entries(record_id)
    assert tuple(entries) == answer.entries
    assert [type(entry.event) for entry in entries] == [SeizureRecorded, NarrativeWritten]
    assert all(before <= entry.recorded_at <= datetime.now(UTC) for entry in entries)
    assert {(entry.node, entry.by, entry.command_id) for entry in entries} == {("NL", OFFICER, command_id)}
    stands = ledger.state(record_id, "seizure")
    assert isinstance(stands, Seizure)
    assert stands.narrative == "told by hand"


def test_unknown_record_reads_as_nothing(ledger: Ledger) -> None:
    assert ledger.entries(ledger.new_id()) == []
    assert ledger.state(ledger.new_id(), "seizure") is None
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    assert ledger.entries(record_id, kind="person") == []
    assert ledger.state(record_id, "person") is None


def test_rules_are_asked_and_refusals_record_nothing(ledger: Ledger) -> None:
    record_id = ledger.new_id()
    with pytest.raises(Refused, match="no such seizure"):
        ledger.execute(record_id, SubmitSeizure(), OFFICER)
    ledger.execute(record_id, seizure(), OFFICER)
    with pytest.raises(Refused, match="already on record"):
        ledger.execute(record_id, seizure(), OFFICER)
    ledger.execute(record_id, SubmitSeizure(), OFFICER)
    with pytest.raises(Refused, match="somebody other"):
        ledger.execute(record_id, ValidateSeizure(), OFFICER)
    assert ledger.execute(record_id, ValidateSeizure(), SUPERVISOR).version == 3
    assert ledger.execute(record_id, ValidateSeizure(), SUPERVISOR).entries == ()


def test_bytes_that_could_not_be_read_back_are_refused(ledger: Ledger) -> None:
    record_id = ledger.new_id()
    with pytest.raises(Refused, match=r"seizure\.recorded"):
        ledger.execute(record_id, seizure(office="not an office code"), OFFICER)
    assert ledger.entries(record_id) == []


def test_record_of_another_kind_is_refused(ledger: Ledger) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    with pytest.raises(Refused, match="is a seizure, not a premise"):
        ledger.execute(record_id, ResumePremise(), OFFICER)


@pytest.mark.usefixtures("sealed")
def test_history_until_a_moment_or_position(ledger: Ledger) -> None:
    record_id = ledger.new_id()
    first = ledger.execute(record_id, seizure(), OFFICER)
    ledger.execute(record_id, more_goods(), OFFICER)
    position = ledger.wait_sealed(record_id, 2, 10)
    last = ledger.execute(record_id, more_goods(), OFFICER)
    assert [entry.version for entry in ledger.entries(record_id)] == [1, 2, 3]
    assert [entry.version for entry in ledger.entries(record_id, until=position)] == [1, 2]
    assert [entry.version for entry in ledger.entries(record_id, until=first.entries[0].recorded_at)] == [1]
    assert len(ledger.entries(record_id, until=last.entries[0].recorded_at + timedelta(days=1))) == 3
    assert ledger.entries(record_id, until=0) == []


def test_waiting_for_a_seal_ends(ledger: Ledger) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    with pytest.raises(TimeoutError):
        ledger.wait_sealed(record_id, 1, 0.05)


def test_moments_never_run_backwards(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5_000_000_000, 3_000_000_000, 4_000_000_000, 6_000_000_000] * 3)
    monkeypatch.setattr("ledger.clock.time.time_ns", lambda: next(times) + 1_700_000_000_000_000_000)
    moments = [ledger._clock.now_us() for _ in range(8)]
    assert moments == sorted(moments)


# ---------------------------------------------------------------- asked twice


@pytest.mark.usefixtures("sealed")
def test_repeated_command_has_one_effect_and_the_same_answer(ledger: Ledger) -> None:
    record_id, first_id, second_id = (ledger.new_id() for _ in range(3))
    first = ledger.execute(record_id, seizure(narrative="once"), OFFICER, command_id=first_id)
    second = ledger.execute(record_id, more_goods(), OFFICER, command_id=second_id)
    ledger.wait_sealed(record_id, 3, 10)
    for command, command_id, answer in ((seizure(), first_id, first), (more_goods(), second_id, second)):
        again = ledger.execute(record_id, command, OFFICER, command_id=command_id)
        assert again.is_repeated
        assert (again.record_id, again.version, again.entries) == (record_id, answer.version, answer.entries)
    assert len(ledger.entries(record_id)) == 3


def test_300_commands_submitted_three_times_at_once_each_count_once(ledger: Ledger) -> None:
    record_ids = [ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(20)]
    asked = [_asked(record_ids[number % 20], more_goods()) for number in range(150)]
    asked += [_asked(ledger.new_id(), seizure()) for _ in range(150)]
    answers: dict[UUID, list[tuple[Entry, ...]]] = {each.command_id: [] for each in asked}
    repeated = Counter[bool]()

    def submit(number: int) -> None:
        for each in asked[number % 4 * 75 :] + asked[: number % 4 * 75]:
            answer = ledger.execute(each.record_id, each.command, OFFICER, command_id=each.command_id)
            answers[each.command_id].append(answer.entries)
            repeated[answer.is_repeated] += 1

    assert _together(submit, 3) == []
    assert repeated == {False: 300, True: 600}
    for each in asked:
        entries = answers[each.command_id]
        assert len(entries) == 3
        assert entries[0] == entries[1] == entries[2] != ()
        made = [entry for entry in ledger.entries(each.record_id) if entry.command_id == each.command_id]
        assert tuple(made) == entries[0]


def test_rivals_are_decided_again_and_each_effect_counts(ledger: Ledger) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    assert _together(lambda _: [ledger.execute(record_id, more_goods(), OFFICER) for _ in range(10)], 6) == []
    entries = ledger.entries(record_id)
    assert [entry.version for entry in entries] == list(range(1, 62))
    lines = [entry.event.line for entry in entries if isinstance(entry.event, GoodsAdded)]
    assert lines == list(range(2, 62))  # each was decided on the record as it then stood


def test_rivals_for_one_record_fail_nobody_else(ledger: Ledger) -> None:
    contested = ledger.new_id()
    refused: list[Refused] = []

    def work(number: int) -> None:
        for _ in range(10):
            ledger.execute(ledger.new_id(), seizure(), OFFICER)
        try:
            ledger.execute(contested, seizure(office=f"NL00085{number}"), OFFICER)
        except Refused as refusal:
            refused.append(refusal)

    assert _together(work, 8) == []
    assert len(refused) == 7
    assert len(ledger.entries(contested)) == 1


# ---------------------------------------------------------------- many at once


def _answers(ledger: Ledger, asked: list[Asked]) -> list[Recorded | Refused]:
    return ledger.execute_all(asked, OFFICER)


@pytest.mark.parametrize("count", [1, 5, 39, 40, 41, 300])
def test_batch_records_each_with_its_own_answer(ledger: Ledger, count: int) -> None:
    asked = [_asked(ledger.new_id(), seizure(narrative=f"account {number}")) for number in range(count)]
    answers = _answers(ledger, asked)
    assert len(answers) == count
    for each, answer in zip(asked, answers, strict=True):
        assert isinstance(answer, Recorded)
        assert not answer.is_repeated
        assert tuple(ledger.entries(each.record_id)) == answer.entries
    again = _answers(ledger, asked)
    assert [isinstance(answer, Recorded) and answer.is_repeated for answer in again] == [True] * count
    assert [answer.entries for answer in again if isinstance(answer, Recorded)] == [
        answer.entries for answer in answers if isinstance(answer, Recorded)
    ]


def test_refused_costs_the_others_nothing(ledger: Ledger) -> None:
    asked = [_asked(ledger.new_id(), seizure()) for _ in range(100)]
    asked[40] = _asked(asked[40].record_id, seizure(office="not an office"))
    asked[60] = _asked(asked[60].record_id, CancelSeizure(reason=Reason.DUPLICATE))
    answers = _answers(ledger, asked)
    refused = [number for number, answer in enumerate(answers) if isinstance(answer, Refused)]
    assert refused == [40, 60]
    assert [len(ledger.entries(each.record_id)) for each in asked] == [
        0 if number in refused else 1 for number in range(100)
    ]


@pytest.mark.parametrize("count", [3, 60])
def test_several_commands_for_one_record_work_in_order(ledger: Ledger, count: int) -> None:
    record_id = ledger.new_id()
    asked = [_asked(record_id, more_goods()), _asked(record_id, seizure())]
    asked += [_asked(record_id, more_goods()) for _ in range(count)]
    asked += [_asked(record_id, WriteNarrative(text="in the end")), asked[2], _asked(record_id, seizure())]
    answers = _answers(ledger, asked)
    assert isinstance(answers[0], Refused)
    assert isinstance(answers[-1], Refused)
    versions = [answer.version for answer in answers[1:-1] if isinstance(answer, Recorded)]
    assert versions == [*range(1, count + 3), 2]
    again = answers[-2]
    assert isinstance(again, Recorded)
    assert again.is_repeated
    assert [entry.version for entry in ledger.entries(record_id)] == list(range(1, count + 3))


def test_batch_of_old_and_new_records_changes_only_what_changed(ledger: Ledger) -> None:
    record_ids = [ledger.new_id() for _ in range(120)]
    told = [RestateSeizure(facts=seizure(source="customs-tr", narrative="as told")) for _ in record_ids]
    _answers(ledger, [_asked(record_id, command) for record_id, command in zip(record_ids, told, strict=True)])
    told[7] = RestateSeizure(facts=seizure(source="customs-tr", narrative="as told", goods=(TOBACCO,)))
    new = ledger.new_id()
    asked = [_asked(record_id, command) for record_id, command in zip(record_ids, told, strict=True)]
    answers = _answers(ledger, [*asked, _asked(new, told[0])])
    changed = [len(answer.entries) for answer in answers if isinstance(answer, Recorded)]
    assert changed == [1 if number == 7 else 0 for number in range(120)] + [2]
    again = [_asked(record_id, command) for record_id, command in zip(record_ids, told, strict=True)]
    assert _answers(ledger, again) == [
        Recorded(record_id=record_id, version=3 if number == 7 else 2, entries=())
        for number, record_id in enumerate(record_ids)
    ]


def test_batches_compete_and_each_command_counts_once(ledger: Ledger) -> None:
    record_ids = [ledger.new_id() for _ in range(60)]
    asked = [_asked(record_id, seizure()) for record_id in record_ids]
    asked += [_asked(record_id, more_goods()) for record_id in record_ids]
    answers: list[list[Recorded | Refused]] = []
    assert _together(lambda _: answers.append(_answers(ledger, asked)), 3) == []
    for number, record_id in enumerate(record_ids):
        entries = ledger.entries(record_id)
        assert [entry.version for entry in entries] == [1, 2]
        for batch in answers:
            first, second = batch[number], batch[number + 60]
            assert isinstance(first, Recorded)
            assert isinstance(second, Recorded)
            assert first.entries + second.entries == tuple(entries)


@pytest.mark.parametrize("count", [30, 300])
def test_batches_in_opposite_order_do_not_block_each_other(
    ledger: Ledger, database_url: str, keys: Path, count: int
) -> None:
    asked = [_asked(ledger.new_id(), seizure()) for _ in range(count)]
    with Ledger.open(database_url, node="NL", keys=keys) as other:
        work = [(ledger, asked), (other, asked[::-1]), (ledger, asked[::-1]), (other, asked)]
        assert _together(lambda number: work[number][0].execute_all(work[number][1], OFFICER), 4) == []
    assert [len(ledger.entries(each.record_id)) for each in asked] == [1] * count


def test_empty_batch_is_answered(ledger: Ledger) -> None:
    assert _answers(ledger, []) == []


def test_keys_of_a_subject_are_made_once_for_a_record(ledger: Ledger, session: Session) -> None:
    record_id = ledger.new_id()
    ledger.execute(record_id, seizure(narrative="first"), OFFICER)
    ledger.execute(record_id, WriteNarrative(text="second"), OFFICER)
    ledger.execute_all([_asked(record_id, NotePlates(plates=(Plate(number="AB-12"),)))], OFFICER)
    assert session.execute("SELECT count(*) FROM ledger.subject_key").fetchone() == (1,)
    stands = ledger.state(record_id, "seizure")
    assert isinstance(stands, Seizure)
    assert (stands.narrative, stands.plates) == ("second", (Plate(number="AB-12"),))


# ---------------------------------------------------------------- what belongs together


def test_ledger_belongs_to_one_node_and_one_keyring(ledger: Ledger, database_url: str, keys: Path) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    with pytest.raises(Unsafe, match="belongs to the node NL, not to BE"):
        Ledger.open(database_url, node="BE", keys=keys)
    with pytest.raises(Unsafe, match="not those of this ledger"):
        Ledger.open(database_url, node="NL", keys=keys.parent / "others")
    with pytest.raises(Unsafe, match="not those of this ledger"):
        Reader.open(database_url, keys=keys.parent / "others")


def test_server_that_is_gone_is_said_so(keys: Path) -> None:
    with pytest.raises(psycopg.OperationalError):
        Ledger.open("host=/nonexistent dbname=none", node="NL", keys=keys)


def test_correction_after_reading_keeps_facts(ledger: Ledger) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    ledger.execute(record_id, CorrectSeizure(reason=Reason.RECOUNT, office="NL000111"), OFFICER)
    stands = ledger.state(record_id, "seizure")
    assert isinstance(stands, Seizure)
    assert (stands.office, stands.goods[0].goods) == ("NL000111", COCAINE)
    assert isinstance(seizure(), RecordSeizure)
