"""The ledger is an application of the eventsourcing library: what the library documents works over our tables."""

import itertools
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import IntegrityError

from domain.entry import Entry
from domain.event import AnyEvent, Erased
from domain.seizure import NarrativeWritten, Seizure
from ledger.application import RecordedEvent, project
from ledger.clock import from_us
from ledger.ledger import Ledger, Reader
from ledger.sealer import seal_once
from ledger.sessions import Session
from ledger.verify import verify
from tests.ledger.conftest import sealing
from tests.ledger.samples import OFFICER, more_goods, seizure


def _event(record_id: UUID, version: int, event: AnyEvent | Erased) -> RecordedEvent:
    return RecordedEvent(
        Entry(
            record_id=record_id,
            version=version,
            recorded_at=from_us(1_714_566_615_123_456 + version),
            node="NL",
            event=event,
            by=OFFICER,
            command_id=Ledger.new_id(),
        )
    )


def test_repository_gives_records_as_they_stand(ledger: Ledger) -> None:
    assert isinstance(ledger, Application)
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told by hand"), OFFICER).record_id
    ledger.execute(record_id, more_goods(), OFFICER)
    found = ledger.repository.get(record_id, projector_func=project)
    assert (found.id, found.version) == (record_id, 3)
    assert found.state == ledger.state(record_id, "seizure")
    before = ledger.repository.get(record_id, version=1, projector_func=project)
    assert isinstance(before.state, Seizure)
    assert (before.version, before.state.narrative) == (1, None)
    with pytest.raises(AggregateNotFoundError):
        ledger.repository.get(ledger.new_id(), projector_func=project)


def test_saved_events_are_entries_like_all_others(
    ledger: Ledger, session: Session, reader: Reader, database_url: str, keys: Path
) -> None:
    made = ledger.execute(ledger.new_id(), seizure(), OFFICER).entries[0].event
    record_id = ledger.new_id()
    assert not isinstance(made, Erased)
    events = [_event(record_id, 1, made)]
    events += [_event(record_id, version, NarrativeWritten(text=f"told {version}")) for version in (2, 3, 4)]
    ledger.save(*events[:3])
    ledger.save(events[3])
    assert ledger.entries(record_id) == [event.entry for event in events]
    assert list(ledger.events.get(record_id)) == events
    assert [event.originator_version for event in ledger.events.get(record_id, gt=1, lte=3)] == [2, 3]
    assert [event.originator_version for event in ledger.events.get(record_id, desc=True, limit=2)] == [4, 3]
    assert session.execute("SELECT count(*) FROM ledger.subject_key").fetchone() == (1,)
    seal_once(session)
    assert [entry.version for entry in reader.record(record_id)] == [1, 2, 3, 4]
    assert verify(database_url, keys=keys).opened == 3


def test_taken_place_is_an_integrity_error(ledger: Ledger, session: Session) -> None:
    made = ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)
    rival = _event(made.record_id, 2, NarrativeWritten(text="rival"))
    with pytest.raises(IntegrityError):
        ledger.save(rival)
    assert tuple(ledger.entries(made.record_id)) == made.entries
    assert session.execute("SELECT count(*) FROM ledger.entry").fetchone() == (2,)


def test_what_was_not_wholly_disclosed_cannot_be_saved(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="cannot be stored anew"):
        ledger.save(_event(ledger.new_id(), 1, Erased("seizure.narrative-written")))
    ledger.save()  # nothing


def test_notifications_are_sealed_positions(ledger: Ledger, session: Session) -> None:
    assert ledger.recorder.max_notification_id() is None
    record_ids = [ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER).record_id for _ in range(4)]
    assert ledger.recorder.select_notifications(None, 10) == []
    seal_once(session)
    ledger.execute(ledger.new_id(), seizure(), OFFICER)  # recorded, not sealed: nobody downstream knows of it
    assert ledger.recorder.max_notification_id() == 8
    found = ledger.notification_log.select(1, 10)
    assert [notification.id for notification in found] == list(range(1, 9))
    assert [notification.originator_id for notification in found[::2]] == record_ids
    assert ledger.notification_log["1,5"].next_id == "6,10"
    select = ledger.recorder.select_notifications
    assert [each.id for each in select(3, 2)] == [3, 4]
    assert [each.id for each in select(3, 10, stop=5, inclusive_of_start=False)] == [4, 5]
    assert [each.id for each in select(1, 10, topics=["seizure.narrative-written"])] == [2, 4, 6, 8]
    event = ledger.mapper.to_domain_event(found[1])
    assert isinstance(event, RecordedEvent)
    assert (event.entry.event, event.entry.position) == (NarrativeWritten(text="told"), 2)


def test_subscription_follows_the_sealer(ledger: Ledger, database_url: str) -> None:
    first = ledger.execute(ledger.new_id(), seizure(), OFFICER)
    with sealing(database_url), ledger.recorder.subscribe() as subscription:
        assert next(subscription).originator_id == first.record_id
        late = [ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(5)]
        followed = list(itertools.islice(subscription, 5))
        assert [(each.id, each.originator_id) for each in followed] == list(enumerate(late, start=2))
