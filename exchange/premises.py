"""The legal premises on our record, as the exchange knows them: folded from the ledger before anything is decided.

They are read up to the ledger's head in a transaction of their own, and feeds decide only about entries up to there, so
that a suspension that is sealed is never overlooked. Titles, which are words, are left out. What hangs on a premise is
decided again when its standing towards the peer changes, be it by an event or because a day has come.
"""

from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from domain import records
from domain.premise import Premise
from exchange.release import KnownPremise
from ledger.ledger import Reader
from ledger.sessions import Session

CHUNK = 50_000


def refresh(connection: Session, reader: Reader) -> int:
    """Take in what the sealed entries say of premises; returns the ledger position that is now reached."""
    while True:
        with connection.transaction():
            connection.execute("INSERT INTO exchange.premise_walk (position) VALUES (0) ON CONFLICT DO NOTHING")
            row = connection.execute("SELECT position FROM exchange.premise_walk FOR UPDATE").fetchone()
            assert row is not None  # noqa: S101  # inserted above
            after, head = int(row[0]), reader.head()
            if head <= after:
                return after
            until = min(head, after + CHUNK)
            changed = connection.execute(
                "SELECT DISTINCT s.record_id FROM ledger.sealed s JOIN ledger.entry e USING (record_id, version) "
                "WHERE s.position > %s AND s.position <= %s AND e.name LIKE 'premise.%%' AND e.provenance IS NULL",
                [after, until],
            ).fetchall()
            for (record_id,) in changed:
                premise = msgspec.structs.replace(records.fold(reader.record(record_id)), title=None)
                connection.execute(
                    "INSERT INTO exchange.premise (record_id, version, state) VALUES (%s, %s, %s) "
                    "ON CONFLICT (record_id) DO UPDATE SET version = excluded.version, state = excluded.state "
                    "WHERE premise.version < excluded.version",
                    [record_id, premise.version, msgspec.msgpack.encode(premise)],
                )
            connection.execute("UPDATE exchange.premise_walk SET position = %s", [until])


def known(connection: Session) -> list[KnownPremise]:
    """All premises on our own record, oldest record first."""
    rows = connection.execute("SELECT record_id, state FROM exchange.premise ORDER BY record_id")
    return [
        KnownPremise(record_id=record_id, premise=msgspec.msgpack.decode(state, type=Premise))
        for record_id, state in rows
    ]


def between(premises: list[KnownPremise], one: str, other: str) -> list[KnownPremise]:
    """Those to which both nodes are parties."""
    return [known for known in premises if {one, other} <= set(known.premise.parties)]


def standing(premises: list[KnownPremise], one: str, other: str, now: datetime) -> bytes:
    """A fingerprint of how the premises between two nodes stand at a time: it changes whenever a decision may."""
    day = now.astimezone(UTC).date()
    digest = sha256()
    for known_one in between(premises, one, other):
        gap = known_one.premise.gap_in_time(day)
        digest.update(f"{known_one.record_id} {known_one.premise.version} {gap}\n".encode())
    return digest.digest()
