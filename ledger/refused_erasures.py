"""Erasures that were asked for and refused because of a hold: the wish stays visible until it can be granted.

It says when, by whom and on which grounds somebody asked, for the record of whoever answers the subject.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.attribution import Attribution
from domain.rights import ErasureGrounds
from ledger import attributed
from ledger.schema import DDL_LOCK
from ledger.sessions import Session

TABLE = """
CREATE TABLE IF NOT EXISTS ledger.erasure_refused (
    erasure_id uuid PRIMARY KEY,
    subject uuid NOT NULL,
    grounds text NOT NULL,
    attribution bytea NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS erasure_refused_subject ON ledger.erasure_refused (subject);
"""


class RefusedErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for the erasure of a subject that a hold forbade, why, and when."""

    erasure_id: UUID
    grounds: ErasureGrounds
    by: Attribution
    refused_at: datetime


def note(session: Session, erasure_id: UUID, subject: UUID, grounds: ErasureGrounds, by: Attribution) -> None:
    """Keep in mind that this was refused; said again under the same id, it is kept once."""
    if not _is_there(session):
        with session.transaction():
            session.execute("SELECT pg_advisory_xact_lock(%s)", [DDL_LOCK])
            session.execute(TABLE)
    session.execute(
        "INSERT INTO ledger.erasure_refused (erasure_id, subject, grounds, attribution) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [erasure_id, subject, grounds.value, attributed.encode(by, None)],
    )


def of_subject(session: Session, subject: UUID) -> list[RefusedErasure]:
    """What was asked of a subject and refused, oldest first."""
    if not _is_there(session):
        return []
    rows = session.execute(
        "SELECT erasure_id, grounds, attribution, refused_at FROM ledger.erasure_refused WHERE subject = %s"
        " ORDER BY refused_at",
        [subject],
    )
    return [
        RefusedErasure(
            erasure_id=erasure_id,
            grounds=ErasureGrounds(grounds),
            by=attributed.decode(bytes(attribution))[0],
            refused_at=refused_at,
        )
        for erasure_id, grounds, attribution, refused_at in rows
    ]


def _is_there(session: Session) -> bool:
    return session.execute("SELECT to_regclass('ledger.erasure_refused')").fetchone() != (None,)
