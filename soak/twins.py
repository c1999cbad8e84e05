"""Two nodes that are one and the same to the CEN, living through histories that are alike in what is open.

They have the same name, signing key and export ids, so that their streams may differ in nothing. `streams` tells all of
it anew to a CEN node that has heard nothing yet; `news` tells one that listens what is new.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Self
from uuid import UUID

from domain.attribution import Attribution
from domain.event import Command
from exchange import cen, schema
from exchange.cen import CenExporter
from exchange.peers import Identity
from exchange.relay import _message
from ledger.ledger import Asked, Ledger
from ledger.sessions import connect
from soak.histories import History
from soak.invented import NODE, OFFICER, SUPERVISOR
from soak.sealing import seal_all

LINE = "number, core, boxed_key, leaf_hash, proof, checkpoint, held"
CHUNK = 4
LISTENER = "ZZ-CEN"
SEALED_WITHIN_S = 60.0

Personal = tuple[int | None, int | None]


class Twin:
    """One of the two."""

    def __init__(self, database_url: str, keys: Path) -> None:
        """Open its ledger and its side of the exchange."""
        self.ledger = Ledger.open(database_url, node=NODE, keys=keys)
        schema.prepare(database_url, node=NODE, role="nation")
        self.own = Identity.open(keys, node=NODE, role="nation")
        self.session = connect(database_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.ledger.close()

    def live(self, history: History) -> None:
        """Live through a history: a transaction for each run of commands of one person; what is refused is refused."""
        for by_supervisor, run in groupby(history.commands(), key=lambda one: one[1][1]):
            by = SUPERVISOR if by_supervisor else OFFICER
            self.do([(record_id, command) for record_id, (command, _) in run], by)
        self._seal()

    def _seal(self) -> None:
        """Seal all there is: a transaction anywhere on the server, such as autovacuum's, may hold it back a while."""
        if not seal_all(self.session, wait_s=SEALED_WITHIN_S):
            raise TimeoutError(f"Something has held the numbering of entries back for {SEALED_WITHIN_S:.0f} seconds.")

    def do(self, commands: list[tuple[UUID, Command]], by: Attribution) -> None:
        """Give commands in one transaction."""
        asked = [Asked(record_id=about, command=told, command_id=Ledger.new_id()) for about, told in commands]
        self.ledger.execute_all(asked, by)


class Twins:
    """Both of them, and who listens to them."""

    def __init__(self, one: Twin, other: Twin) -> None:
        """Sign as the first of them."""
        self.twins = (one, other)
        self._peers = 0
        self._heard = [0, 0]
        self._ids = [random.Random(1), random.Random(1)]

    @classmethod
    @contextmanager
    def open(cls, databases: tuple[str, str], folder: Path) -> Iterator[Self]:
        """Open both in two empty databases."""
        with ExitStack() as stack:
            twins = [
                stack.enter_context(Twin(url, folder / name))
                for url, name in zip(databases, ("one", "other"), strict=True)
            ]
            yield cls(*twins)

    def live(self, seed: int, personal: Personal) -> None:
        """Live through two histories that are alike in what is open."""
        for twin, personal_seed in zip(self.twins, personal, strict=True):
            twin.live(History(seed, personal_seed))

    def streams(self, kind: type[CenExporter] = CenExporter) -> list[list[bytes]]:
        """Tell all of it to a CEN node that has heard nothing yet; the bytes of both streams."""
        self._peers += 1
        peer = f"ZZ-{self._peers}"
        return [self._told(twin, peer, kind, random.Random(1), 0) for twin in self.twins]

    def news(self, kind: type[CenExporter] = CenExporter) -> list[list[bytes]]:
        """Tell a CEN node that listens what is new; the bytes that both add to their streams."""
        told = [
            self._told(twin, LISTENER, kind, ids, heard)
            for twin, ids, heard in zip(self.twins, self._ids, self._heard, strict=True)
        ]
        self._heard = [heard + len(lines) for heard, lines in zip(self._heard, told, strict=True)]
        return told

    def _told(self, twin: Twin, peer: str, kind: type[CenExporter], ids: random.Random, heard: int) -> list[bytes]:
        twin.session.execute("INSERT INTO exchange.feed (peer) VALUES (%s) ON CONFLICT DO NOTHING", [peer])
        exporter = kind(
            connection=twin.session,
            node=NODE,
            signing_key=self.twins[0].own.signing_key,
            peer=peer,
            new_export_id=lambda: UUID(int=ids.getrandbits(128), version=4),
        )
        while exporter.step(datetime.now(UTC)):
            pass
        query = f"SELECT {LINE} FROM exchange.feed_out WHERE peer = %s AND number > %s ORDER BY number"
        return [
            _message(self.twins[0].own, peer, 0, *row) for row in twin.session.execute(query.encode(), [peer, heard])
        ]


@contextmanager
def many_batches() -> Iterator[None]:
    """Cut chunks small, so that a history spans several batches."""
    before = cen.CHUNK
    cen.CHUNK = CHUNK
    try:
        yield
    finally:
        cen.CHUNK = before
