"""A rival: the library's ProjectionRunner, which commits event by event.

It reads the same events from the library's own recorder, decodes them, and writes the very rows that our projector
wrote for them (they lie ready: nothing is folded) together with its position, in one transaction, as its documentation
says. The rows are put where the view finds them before a turn begins.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

from domain.event import AnyEvent
from domain.records import decode

Row = tuple[bytes, Sequence[Any]]
"""An INSERT and its values."""
READY: dict[UUID, list[Row]] = {}
WAIT_S = 120.0


class Told(msgspec.Struct, frozen=True):
    """A decoded event in its place."""

    originator_id: UUID
    originator_version: int
    event: AnyEvent


class EventMapper(Mapper[UUID]):
    """Decodes the stored bytes with msgspec; the library's own mapper is slower."""

    def to_domain_event(self, stored_event: StoredEvent) -> Any:  # noqa: ANN401  # the library's own signature is wider
        """Decode the event."""
        assert isinstance(stored_event.originator_id, UUID)
        event = decode(stored_event.topic, stored_event.state)
        return Told(stored_event.originator_id, stored_event.originator_version, event)


class Seizures(Application[UUID]):
    """The application whose events are projected."""

    name = "bench"


class View(PostgresTrackingRecorder):
    """The read model: rows and position in one transaction."""

    def write(self, rows: Sequence[Row], tracking: Tracking) -> None:
        """Write the rows of an event."""
        with self.datastore.transaction(commit=True) as cursor:
            for statement, values in rows:
                cursor.execute(statement, values, prepare=True)
            self._insert_tracking(cursor, tracking)


class SeizuresProjection(Projection[View]):
    """Writes what lies ready for each event."""

    name = "bench_view"

    def process_event(self, domain_event: Told, tracking: Tracking) -> None:
        """Write the rows of this event."""
        RUN.begin()
        self.view.write(READY[domain_event.originator_id], tracking)
        RUN.reached(tracking.notification_id)


class Run:
    """Times a run from its first event to the commit of its last, without the library's start and polling."""

    def __init__(self) -> None:
        """Wait for a target."""
        self.expect(0)

    def expect(self, last: int) -> None:
        """Begin anew; the run ends with notification `last`."""
        self._last = last
        self._began = 0.0
        self.seconds = 0.0
        self.is_over = threading.Event()

    def begin(self) -> None:
        """Note the moment, at the first event."""
        self._began = self._began or time.perf_counter()

    def reached(self, notification: int | None) -> None:
        """Note that a notification was projected."""
        if notification is not None and notification >= self._last:
            self.seconds = time.perf_counter() - self._began
            self.is_over.set()


RUN = Run()


def catch_up(settings: Mapping[str, str], last: int) -> float:
    """Run the library's runner from its position until notification `last` is projected; seconds."""
    mapper = f"{EventMapper.__module__}:{EventMapper.__qualname__}"
    env = {**settings, "MAPPER_TOPIC": mapper}
    RUN.expect(last)
    runner = ProjectionRunner(application_class=Seizures, projection_class=SeizuresProjection, view_class=View, env=env)
    with runner:
        if not RUN.is_over.wait(WAIT_S):
            raise TimeoutError(f"the library did not reach notification {last} in {WAIT_S:.0f} s")
    return RUN.seconds
