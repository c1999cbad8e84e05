"""A rival: the eventsourcing library's own PostgreSQL recorder, in its default, safe form.

It gets the same bytes (event and attribution in one state) and takes its table lock. Batches go over TCP, since a large
batch over a socket file hangs for ever in its pipeline; single commands go over the socket file like everybody's.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

from bench.facts import BY, new_id, now, seizures
from bench.server import Place
from bench.writing import Shape, Write
from domain import seizure
from domain.attribution import Occasion
from domain.event import wire_name
from domain.records import encode

NAME = "bench"


def environment(place: Place, *, over_tcp: bool, connections: int) -> dict[str, str]:
    """The library's settings for a database."""
    parts: dict[str, Any] = conninfo_to_dict(place.tcp_url if over_tcp else place.url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password", "")),
        "POSTGRES_POOL_SIZE": str(connections),
        "POSTGRES_MAX_OVERFLOW": "0",
    }


def states() -> list[tuple[str, bytes]]:
    """Topic and state of the invented seizures: the bytes that our ledger stores, event and attribution together."""
    attribution = msgspec.msgpack.encode(BY)
    occasion = Occasion(by=BY, at=now())
    events = [event for command in seizures() for event in seizure.decide(None, command, occasion)]
    return [(wire_name(event), encode(event) + attribution) for event in events]


class Recorder:
    """`insert_events` of the library's application recorder: one call a command or a batch."""

    def prepare(self, place: Place) -> None:
        """Let the library make its tables."""
        with PostgresFactory(Environment(NAME, environment(place, over_tcp=False, connections=1))) as factory:
            factory.application_recorder()

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """One recorder a process, with as many connections as there are threads."""
        settings = environment(place, over_tcp=shape.batch > 1, connections=shape.threads)
        told = states()
        with PostgresFactory(Environment(NAME, {**settings, "CREATE_TABLE": "no"})) as factory:
            recorder = factory.application_recorder()

            def make() -> Write:
                number = 0

                def write() -> None:
                    nonlocal number
                    events = []
                    for _ in range(shape.batch):
                        topic, state = told[number % len(told)]
                        number += 1
                        events.append(StoredEvent(new_id(), 1, topic, state))
                    recorder.insert_events(events)

                return write

            yield make
