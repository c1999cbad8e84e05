"""Reading in sealed order: pages, waking up, keys or none, and damaged entries that are never skipped."""

import threading
import time

import pytest

from domain.event import Erased
from domain.seizure import NarrativeWritten, SeizureRecorded
from ledger import leaf
from ledger.errors import Damaged
from ledger.ledger import Asked, Ledger, Reader
from ledger.sealer import seal_once
from ledger.sessions import Session
from tests.ledger.conftest import sealing
from tests.ledger.samples import OFFICER, more_goods, seizure


def test_nothing_sealed_reads_as_nothing(ledger: Ledger, reader: Reader) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
    assert (reader.head(), reader.read(0, 10), reader.read_stored(0, 10)) == (0, [], [])
    assert reader.record(record_id) == []


def test_pages_follow_each_other(ledger: Ledger, reader: Reader, session: Session) -> None:
    record_ids = [ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(7)]
    ledger.execute(record_ids[2], more_goods(), OFFICER)
    seal_once(session)
    pages = [reader.read(after, 3) for after in (0, 3, 6, 8)]
    assert [[entry.position for entry in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7, 8], []]
    assert [entry.record_id for page in pages for entry in page] == [*record_ids, record_ids[2]]
    assert [(entry.version, entry.position) for entry in reader.record(record_ids[2])] == [(1, 3), (2, 8)]
    assert reader.head() == 8


def test_entries_are_those_of_the_ledger(ledger: Ledger, reader: Reader, session: Session) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER).record_id
    seal_once(session)
    assert reader.read(0, 10) == reader.record(record_id) == ledger.entries(record_id)


def test_stored_lines_prove_themselves(ledger: Ledger, reader: Reader, session: Session) -> None:
    ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)
    seal_once(session)
    for line in reader.read_stored(0, 10):
        assert leaf.leaf_hash(line.leaf_bytes) == line.leaf
        assert line.attribution_salt is not None
        assert line.attribution is not None
        assert leaf.attribution_hash(line.attribution_salt, line.attribution) == line.attribution_hash
    assert [line.is_personal for line in reader.read_stored(0, 10)] == [False, True]


def test_without_keys_personal_events_are_erased(ledger: Ledger, database_url: str, session: Session) -> None:
    ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)
    seal_once(session)
    with Reader.open(database_url, keys=None) as blind:
        first, second = blind.read(0, 10)
        assert isinstance(first.event, SeizureRecorded)
        assert second.event == Erased("seizure.narrative-written")
        assert second.by == OFFICER


def test_damaged_entry_is_never_skipped(ledger: Ledger, reader: Reader, session: Session) -> None:
    for _ in range(5):
        ledger.execute(ledger.new_id(), seizure(), OFFICER)
    seal_once(session)
    session.execute("ALTER TABLE ledger.entry DISABLE TRIGGER insert_only")
    session.execute("""UPDATE ledger.entry SET name = 'seizure.unheard-of' WHERE (record_id, version) =
        (SELECT record_id, version FROM ledger.sealed WHERE position = 3)""")
    assert [entry.position for entry in reader.read(0, 10)] == [1, 2]
    with pytest.raises(Damaged, match="does not know") as caught:
        reader.read(2, 10)
    assert caught.value.position == 3
    assert [entry.position for entry in reader.read(3, 10)] == [4, 5]
    assert [line.position for line in reader.read_stored(0, 10)] == [1, 2, 3, 4, 5]


def test_waiting_is_woken_by_the_sealer(ledger: Ledger, reader: Reader, database_url: str) -> None:
    woken: list[tuple[int, float]] = []

    def wait() -> None:
        head = reader.wait(0, 20)
        woken.append((head, time.monotonic()))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    assert woken == []
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    with sealing(database_url):
        ledger.wait_sealed(ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id, 1, 10)
        waiting.join(10)
    assert woken[0][0] >= 1


def test_waiting_ends_in_time(reader: Reader) -> None:
    start = time.monotonic()
    assert reader.wait(0, 0.2) == 0
    assert 0.15 < time.monotonic() - start < 5


def test_reader_survives_the_end_of_its_session(ledger: Ledger, reader: Reader, session: Session) -> None:
    ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)
    seal_once(session)
    assert reader.head() == 1 + 1
    session.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()""")
    assert isinstance(reader.read(0, 10)[1].event, NarrativeWritten)
    assert reader.wait(0, 1) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "'seizure.goods-withdrawn'"),
        ("name", "'seizure.narrative-written'"),
        ("body", "body || '\\xc0'"),
        ("body", "'\\xc0' || body"),
        ("body", "substring(body FROM 1 FOR 20)"),
        ("body", "'\\x'"),
        ("attribution", "attribution || '\\xc0'"),
        ("attribution", "'\\x0102'"),
        ("provenance", "'\\xc0'"),
    ],
)
def test_an_entry_that_was_changed_in_any_part_shifts_no_other(
    ledger: Ledger, reader: Reader, session: Session, column: str, value: str
) -> None:
    for _ in range(3):
        ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)
    seal_once(session)
    before = reader.read(0, 10)
    session.execute("ALTER TABLE ledger.entry DISABLE TRIGGER insert_only")
    session.execute(
        f"""UPDATE ledger.entry SET {column} = {value} WHERE (record_id, version) =
        (SELECT record_id, version FROM ledger.sealed WHERE position = 3)""".encode()
    )
    with pytest.raises(Damaged) as caught:
        reader.read(2, 10)
    assert caught.value.position == 3
    assert reader.read(0, 10) == before[:2]
    assert reader.read(3, 10) == before[3:]


def test_what_is_read_in_stretches_is_what_is_read_at_once(ledger: Ledger, database_url: str, session: Session) -> None:
    command = more_goods()
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER).record_id
    asked = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(1_000)]
    ledger.execute_all(asked, OFFICER)
    ledger.execute(record_id, command, OFFICER)
    while seal_once(session):
        pass
    with Reader.open(database_url, keys=None) as reader:
        whole = reader.read(0, 2_000)
        assert len(whole) == 1_003
        for limit in (1, 7, 250, 300, 999):
            with Reader.open(database_url, keys=None) as paging:
                read, after = [], 0
                while page := paging.read(after, limit):
                    read += page
                    after += len(page)
                assert read == whole
                assert paging.read(100, limit) == whole[100 : 100 + limit]  # back again
                ledger.execute(ledger.new_id(), seizure(), OFFICER)
                seal_once(session)
                assert [entry.position for entry in paging.read(after, limit)] == [after + 1]
            whole = reader.read(0, 2_000)
