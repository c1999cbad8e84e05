"""The ledger as an application of the eventsourcing library: mapper, recorder, datastore and factory over our tables.

What the library offers (event store, repository, notification log, subscription) works as it documents, with these
differences: a notification's id is a sealed position, so that nobody who follows them can miss or reorder one; topics
are wire names and are never resolved to code; writers take no table lock, use no pipeline and send no NOTIFY; nothing
is retried behind the caller's back.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    BaseInfrastructureFactory,
    IntegrityError,
    JSONTranscoder,
    Mapper,
    Notification,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment
from psycopg.rows import DictRow, dict_row

from domain import records
from domain.entry import Entry
from domain.event import Erased
from ledger import line, schema
from ledger.append import Appender, Plan, Taken
from ledger.clock import from_us, to_us
from ledger.drafting import Drafting
from ledger.line import Draft
from ledger.sessions import Sessions, connect
from ledger.stand import Stand
from ledger.vault import Vault, WrappedKey

MOST_KEYS_IN_FLIGHT = 1_000


class RecordedEvent(msgspec.Struct, frozen=True):
    """A domain event in the library's sense: an entry of a record."""

    entry: Entry

    @property
    def originator_id(self) -> UUID:
        """The record."""
        return self.entry.record_id

    @property
    def originator_version(self) -> int:
        """The version within the record."""
        return self.entry.version


class Aggregate(msgspec.Struct, frozen=True):
    """A record as the library's repository gives it: its id, version and state."""

    id: UUID
    version: int
    state: Any


def project(aggregate: Aggregate | None, events: Iterable[RecordedEvent]) -> Aggregate | None:
    """Fold events into a record; the `projector_func` for the library's repository."""
    for event in events:
        state = records.fold((event.entry,), aggregate.state if aggregate else None)
        aggregate = Aggregate(event.originator_id, event.originator_version, state)
    return aggregate


class StoredState(msgspec.Struct, frozen=True, array_like=True):
    """The columns of a line that the library has no place for, and the wrapped key that opens it."""

    recorded_at_us: int
    node: str
    is_personal: bool
    body: bytes
    attribution: bytes | None
    attribution_salt: bytes | None
    attribution_hash: bytes | None
    provenance: bytes | None
    key: WrappedKey | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StoredState)


class LedgerMapper(Mapper[UUID]):
    """Turns entries into stored events, sealed and attributed, and back; their topics are wire names."""

    def __init__(self, vault: Vault, sessions: Sessions) -> None:
        """Find keys through these sessions."""
        super().__init__(JSONTranscoder())  # not used: bytes are made by domain.records
        self._vault = vault
        self._sessions = sessions
        self._in_flight: dict[UUID, dict[bytes, WrappedKey]] = {}

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Make the stored event of an entry.

        Raises:
            ValueError: the entry was erased, or its attribution withheld, so that it cannot be made again.
        """
        entry = cast("RecordedEvent", domain_event).entry
        if isinstance(entry.event, Erased) or entry.by is None or entry.command_id is None:
            raise ValueError("an entry that was erased or not wholly disclosed cannot be stored anew")
        stand, known = Stand(entry.record_id), self._keys(entry.record_id) if entry.is_personal else {}
        stand.version = entry.version - 1
        held = ((tag, self._vault.unwrap(wrapped)) for tag, wrapped in known.items())
        stand.keys = {tag: key for tag, key in held if key is not None}
        drafting = Drafting(entry.node, self._vault, entry.by, to_us(entry.recorded_at))
        plan, _ = drafting.draft(stand, (entry.event,), entry.command_id)
        self._remember(entry.record_id, plan.keys)
        draft = plan.drafts[0]
        key = next((key for key in (*known.values(), *plan.keys) if key.key_id.bytes == draft.key_id), None)
        return StoredEvent(entry.record_id, entry.version, entry.name, _encoder.encode(_state(draft, key)))

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """Make the entry of a stored event.

        Raises:
            Damaged: its bytes do not fit, or no event has its topic.
        """
        state = _decoder.decode(stored_event.state)
        position = stored_event.id if isinstance(stored_event, Notification) else None
        key = state.key and self._vault.unwrap(state.key)
        row = (
            position,
            stored_event.originator_id,
            stored_event.originator_version,
            from_us(state.recorded_at_us),
            state.node,
            stored_event.topic,
            state.body,
            state.attribution,
            key and key.key_id,
            state.is_personal,
            state.provenance,
        )
        return cast("DomainEventProtocol[UUID]", RecordedEvent(line.entry(row, {key.key_id: key} if key else {})))

    def forget(self, record_id: UUID) -> None:
        """Drop the keys that were made for a record and turned out not to be recorded."""
        self._in_flight.pop(record_id, None)

    def _keys(self, record_id: UUID) -> dict[bytes, WrappedKey]:
        with self._sessions.session() as session:
            known = {key.subject_tag: key for key in self._vault.of_record(session, record_id)}
        in_flight = self._in_flight.get(record_id, {})
        epoch = self._vault.epoch  # what was wrapped under an older one and not recorded, will not be
        return {tag: key for tag, key in in_flight.items() if key.epoch == epoch} | known

    def _remember(self, record_id: UUID, keys: Sequence[WrappedKey]) -> None:
        for key in keys:
            self._in_flight.setdefault(record_id, {})[key.subject_tag] = key
        while len(self._in_flight) > MOST_KEYS_IN_FLIGHT:
            self._in_flight.pop(next(iter(self._in_flight)))


def _state(draft: Draft, key: WrappedKey | None) -> StoredState:
    return StoredState(
        draft.recorded_at_us,
        draft.node.decode("ascii"),
        draft.is_personal,
        draft.body,
        draft.attribution,
        draft.attribution_salt,
        draft.attribution_hash,
        draft.provenance,
        key,
    )


def _draft(stored: StoredEvent, state: StoredState) -> Draft:
    return Draft(
        UUID(str(stored.originator_id)).bytes,
        stored.originator_version,
        state.recorded_at_us,
        state.node.encode("ascii"),
        stored.topic.encode("ascii"),
        state.is_personal,
        state.body,
        state.attribution,
        state.attribution_salt,
        state.attribution_hash,
        state.key.key_id.bytes if state.key else None,
        state.provenance,
    )


_EVENTS = """
    SELECT e.record_id, e.version, e.name, e.recorded_at, e.node, e.personal, e.body,
           e.attribution, e.attribution_salt, e.attribution_hash, e.provenance,
           k.key_id, k.record_id, k.subject_tag, k.version, k.epoch, k.wrapped
    FROM ledger.entry e LEFT JOIN ledger.subject_key k ON k.key_id = e.key_id
    WHERE e.record_id = %s AND (%s::int4 IS NULL OR e.version > %s) AND (%s::int4 IS NULL OR e.version <= %s)
    ORDER BY e.version
"""
_NOTIFICATIONS = """
    SELECT e.record_id, e.version, e.name, e.recorded_at, e.node, e.personal, e.body,
           e.attribution, e.attribution_salt, e.attribution_hash, e.provenance,
           k.key_id, k.record_id, k.subject_tag, k.version, k.epoch, k.wrapped, s.position
    FROM ledger.sealed s
    JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version
    LEFT JOIN ledger.subject_key k ON k.key_id = e.key_id
    WHERE s.position >= %s AND (%s::int8 IS NULL OR s.position <= %s) AND (%s::text[] IS NULL OR e.name = ANY(%s))
    ORDER BY s.position LIMIT %s
"""
_KNOWN_KEYS = "SELECT key_id FROM ledger.subject_key WHERE key_id = ANY(%s)"


class LedgerRecorder(PostgresApplicationRecorder):
    """Inserts and selects stored events in ledger.entry; notifications are sealed positions."""

    def __init__(self, datastore: "LedgerDatastore", appender: Appender, sessions: Sessions) -> None:
        """Write through an appender, read through sessions."""
        super().__init__(datastore, events_table_name="entry")
        self.channel_name = schema.CHANNEL
        self._appender = appender
        self._sessions = sessions

    def create_table(self) -> None:
        """Do nothing: `schema.prepare` makes the tables."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:  # noqa: ANN401  # the library's
        """Insert events in one transaction; answer None, because positions are given by the sealer.

        Raises:
            IntegrityError: a place is taken.
            OperationalError: the server is gone.
        """
        states = [_decoder.decode(stored.state) for stored in stored_events]
        drafts = [_draft(stored, state) for stored, state in zip(stored_events, states, strict=True)]
        keys = {state.key.key_id: state.key for state in states if state.key}
        if not drafts:
            return None
        with _translated():
            try:
                self._appender.append(Plan(drafts, self._unknown(keys)))
            except Taken as taken:
                if not (taken.was_in_doubt and self._has(stored_events)):
                    raise IntegrityError("another event has this place in the record") from None
        return None

    def _unknown(self, keys: dict[UUID, WrappedKey]) -> list[WrappedKey]:
        if not keys:
            return []
        with self._sessions.session() as session:
            known = {row[0] for row in session.execute(_KNOWN_KEYS, [list(keys)]).fetchall()}
        return [key for key_id, key in keys.items() if key_id not in known]

    def _has(self, stored_events: Sequence[StoredEvent]) -> bool:
        """Tell whether these very events are recorded: the answer to an earlier try was lost."""
        first, last = stored_events[0], stored_events[-1]
        found = self.select_events(first.originator_id, gt=first.originator_version - 1, lte=last.originator_version)
        bodies = [_decoder.decode(stored.state).body for stored in stored_events]
        return [_decoder.decode(stored.state).body for stored in found] == bodies

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Select the events of a record, sealed or not, in order of version."""
        rows = self._rows(_EVENTS + (" DESC" if desc else ""), [originator_id, gt, gt, lte, lte], limit)
        return [StoredEvent(row[0], row[1], row[2], _selected(row)) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Select events by sealed position."""
        first = 1 if start is None else start if inclusive_of_start else start + 1
        names = list(topics) or None
        rows = self._rows(_NOTIFICATIONS, [first, stop, stop, names, names, limit])
        return [Notification(row[0], row[1], row[2], _selected(row), row[17]) for row in rows]

    def max_notification_id(self) -> int | None:
        """Return the highest sealed position, None when nothing is sealed."""
        rows = self._rows("SELECT nullif(size, 0) FROM ledger.seal_state", [])
        return cast("int | None", rows[0][0]) if rows else None

    def _rows(self, query: str, parameters: list[Any], limit: int | None = None) -> list[tuple[Any, ...]]:
        if limit is not None:
            query, parameters = query + " LIMIT %s", [*parameters, limit]
        with _translated(), self._sessions.session() as session:
            return session.cursor(binary=True).execute(query.encode(), parameters, prepare=True).fetchall()


def _selected(row: tuple[Any, ...]) -> bytes:
    key = WrappedKey(*row[11:17]) if row[11] is not None else None
    node, is_personal, body, attribution, salt, withheld, provenance = row[4:11]
    state = StoredState(to_us(row[3]), node, is_personal, body, attribution, salt, withheld, provenance, key)
    return _encoder.encode(state)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the library's errors for ours."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise OperationalError(str(error)) from error


class LedgerDatastore(PostgresDatastore):
    """Gives the library a session of its own when it asks for one (its subscriptions do)."""

    def __init__(self, database_url: str) -> None:
        """Connect only when asked."""
        super().__init__(dbname="", host="", port="", user="", password="")
        self._database_url = database_url

    def register_type_adapters(self) -> None:
        """Do nothing: no composite types are used."""

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """Lend a new session."""
        with _translated(), connect(self._database_url) as session:
            connection = cast("psycopg.Connection[DictRow]", session)
            connection.row_factory = dict_row
            yield connection


class LedgerFactory(PostgresFactory):
    """Builds the library's parts over one ledger."""

    def __init__(self, env: Environment, database_url: str, appender: Appender, sessions: Sessions) -> None:
        """Use these ways to write and read."""
        BaseInfrastructureFactory.__init__(self, env)  # PostgresFactory's own asks the environment for a server
        self._appender = appender
        self._sessions = sessions
        self.datastore: LedgerDatastore = LedgerDatastore(database_url)

    def application_recorder(self) -> LedgerRecorder:
        """Return the recorder over ledger.entry."""
        return LedgerRecorder(self.datastore, self._appender, self._sessions)
