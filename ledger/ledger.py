"""The ledger: commands go in, entries come out, and nothing that was acknowledged is ever lost or done twice.

A command is decided against the record as it stands and recorded whole or not at all; if another was quicker, it is
decided again. A command id makes it idempotent: asked twice, it has one effect and the same answer, also when the first
answer was lost on its way. A creation does not read first. Whatever is personal is sealed before it leaves this
process.
"""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import random
from time import monotonic, sleep
from typing import Any, Self
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import Environment
from uuid_utils.compat import uuid7

from domain import records
from domain.attribution import Attribution
from domain.entry import Entry
from domain.event import Command
from domain.refused import Refused
from ledger import line, schema
from ledger.append import Appender, Plan, Taken, certainly
from ledger.application import LedgerFactory, LedgerMapper
from ledger.batch import Batch
from ledger.clock import Clock
from ledger.deciding import Asked, Deciding, Recorded
from ledger.errors import Conflict
from ledger.keyring import Keyring
from ledger.line import StoredLine
from ledger.reader import Reader
from ledger.sessions import Session, Sessions, connect
from ledger.stand import Stand, load
from ledger.vault import Vault

__all__ = ["Asked", "Ledger", "Reader", "Recorded", "Stand", "StoredLine"]

MOST_TRIES = 20
"""How often a command is decided anew because another was quicker."""
PAUSE_S = 0.002
RIVALRIES = 64

_ENTRIES = f"""
    SELECT {line.ENTRY_COLUMNS} FROM ledger.entry e
    LEFT JOIN ledger.sealed s ON s.record_id = e.record_id AND s.version = e.version
    WHERE e.record_id = %s
"""  # noqa: S608  # our own columns
_UNTIL_POSITION = " AND s.position <= %s"
_UNTIL_TIME = " AND e.recorded_at <= %s"
_IN_ORDER = " ORDER BY e.version"
_POSITION = "SELECT position FROM ledger.sealed WHERE record_id = %s AND version = %s"


class Ledger(Application[UUID]):
    """The write side of one node, an application of the eventsourcing library; any number of threads may use it."""

    def __init__(self, database_url: str, *, node: str, keyring: Keyring, connections: int) -> None:
        """Use `open`."""
        self.node = node
        self.vault = Vault(keyring)
        self.intake_key = keyring.intake_key
        """Makes record ids of what identifies a row in a file."""
        self._database_url = database_url
        self._clock = Clock()
        self._sessions = Sessions(database_url, connections)
        self._appender = Appender(database_url)
        self._expects_new = True
        self._turns = [threading.Lock() for _ in range(RIVALRIES)]
        super().__init__({})

    @classmethod
    def open(cls, database_url: str, *, node: str, keys: Path, connections: int = 4) -> Self:
        """Open the ledger of a node, making its tables and keys on first use.

        Raises:
            Unsafe: the server would lose what it acknowledges, or ledger, node and keys do not belong together.
            psycopg.OperationalError: the server cannot be reached.
        """
        with connect(database_url) as session:
            schema.prepare_session(session, node=node)
            keyring = Keyring.open(keys)
            schema.bind_keys(session, keyring)
        return cls(database_url, node=node, keyring=keyring, connections=connections)

    def execute(
        self, record_id: UUID, command: Command, by: Attribution, *, command_id: UUID | None = None
    ) -> Recorded:
        """Decide a command and record what it comes to, flushed to disk, as one transaction.

        Raises:
            Refused: a rule says no.
            Conflict: others kept changing the record.
            psycopg.OperationalError: the server is gone; asked again with the same command id, the answer is certain.
        """
        asked = Asked(record_id=record_id, command=command, command_id=command_id or self.new_id())
        decided = self._deciding(by).as_creation(Stand(record_id), asked)
        plan, answer = decided or self._deciding(by).on(self._stand(record_id), asked)
        try:
            return self._append(plan, answer)
        except Taken as taken:
            with self._turns[hash(record_id) % len(self._turns)]:  # rivals in this process try one after the other
                return self._execute_again(asked, by, was_in_doubt=taken.was_in_doubt)

    def _append(self, plan: Plan, answer: Recorded) -> Recorded:
        if plan.drafts:
            self._appender.append(plan)
        return answer

    def _execute_again(self, asked: Asked, by: Attribution, *, was_in_doubt: bool) -> Recorded:
        """Decide anew on the record as it stands now; what this very call had recorded is its answer."""
        for tries in range(MOST_TRIES):
            plan, answer = self._deciding(by).on(self._stand(asked.record_id), asked)
            if was_in_doubt and answer.is_repeated:
                return msgspec.structs.replace(answer, is_repeated=False)
            try:
                return self._append(plan, answer)
            except Taken as taken:
                was_in_doubt = was_in_doubt or taken.was_in_doubt
                sleep(random() * tries * PAUSE_S)  # noqa: S311  # rivals in other processes step aside
        raise Conflict(f"Others kept changing the record {asked.record_id}: ask again.")

    def execute_all(self, asked: Sequence[Asked], by: Attribution) -> list[Recorded | Refused]:
        """Decide many commands and record them in one transaction, each whole or not at all, each with its own answer.

        Raises:
            Conflict: others kept changing the records; nothing was recorded.
            psycopg.OperationalError: the server is gone; asked again with the same ids, the answers are certain.
        """
        batch = Batch(asked, lambda: self._deciding(by), self._stands, reads_first=not self._expects_new)
        for tries in range(MOST_TRIES):
            try:
                certainly(lambda: batch.write(self._appender))
            except Taken:
                batch.reads_first = True
                sleep(random() * tries * PAUSE_S)  # noqa: S311  # rivals step aside
            else:
                self._expects_new = not batch.found_any
                return batch.answers
        raise Conflict("Others kept changing these records: ask again.")

    def entries(self, record_id: UUID, *, kind: str | None = None, until: int | datetime | None = None) -> list[Entry]:
        """Return the entries of a record, oldest first: all, or those up to a sealed position or moment.

        Raises:
            Damaged: the bytes of an entry do not fit.
        """
        query = _ENTRIES
        parameters: list[Any] = [record_id]
        if until is not None:
            query += _UNTIL_TIME if isinstance(until, datetime) else _UNTIL_POSITION
            parameters.append(until)
        entries = self._sessions.ask(lambda session: self._entries(session, query + _IN_ORDER, parameters))
        return [entry for entry in entries if kind is None or entry.kind == kind]

    def state(self, record_id: UUID, kind: str) -> Any | None:  # noqa: ANN401  # the state of whichever kind was asked for
        """Return a record as it stands, None when there is no record of this kind under this id."""
        return records.fold(self.entries(record_id, kind=kind))

    def stands(self, record_ids: Sequence[UUID]) -> dict[UUID, Stand]:
        """Return how many records stand, in one query; those that do not exist stand with nothing.

        Raises:
            Damaged: the bytes of an entry or key do not fit.
        """
        return self._stands(list(record_ids))

    def wait_sealed(self, record_id: UUID, version: int, timeout_seconds: float) -> int:
        """Wait until an entry is sealed; return its position.

        Raises:
            TimeoutError: it was not sealed in time.
        """
        deadline, pause_s = monotonic() + timeout_seconds, 0.002
        while True:
            row = self._sessions.ask(
                lambda session: session.execute(_POSITION, [record_id, version], prepare=True).fetchone()
            )
            if row is not None:
                return int(row[0])
            if monotonic() >= deadline:
                raise TimeoutError("The entry is recorded, but not sealed yet: is the sealer at work?")
            sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)

    @staticmethod
    def new_id() -> UUID:
        """Return a new record or command id (UUIDv7: ids made after each other lie beside each other on disk)."""
        return uuid7()

    def _entries(self, session: Session, query: str, parameters: list[Any]) -> list[Entry]:
        rows = line.rows(session, query, parameters)
        return line.entries(rows, line.held_keys(session, self.vault, rows))

    def _deciding(self, by: Attribution) -> Deciding:
        return Deciding(self.node, self.vault, by, self._clock.now_us())

    def _stand(self, record_id: UUID) -> Stand:
        return self._stands([record_id])[record_id]

    def _stands(self, record_ids: list[UUID]) -> dict[UUID, Stand]:
        return self._sessions.ask(lambda session: load(session, self.vault, record_ids))

    # -- what the library asks for

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """Build the library's parts over our tables."""
        return LedgerFactory(env, self._database_url, self._appender, self._sessions)

    def construct_mapper(self) -> LedgerMapper:
        """Map entries to stored events and back."""
        return LedgerMapper(self.vault, self._sessions)

    def close(self) -> None:
        """Close the sessions."""
        self._appender.close()
        self._sessions.close()
        super().close()
