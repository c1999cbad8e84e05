"""Erasure: a subject's keys are destroyed in every record, and what was done is certified.

What is to be done is recorded first, each step can be repeated, and whoever comes next finishes what was begun: a
crash between two steps loses nothing. The certificate is appended to a file in the keys folder before the keys go, so
that it outlives a restored database; `replay` does again what a restored database knows nothing of. Nothing here says
who it was.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import msgspec
from psycopg.rows import dict_row

from domain.attribution import Attribution
from domain.business import EraseBusiness, RegisterBusiness
from domain.event import Command
from domain.person import ErasePerson, RegisterPerson
from domain.refused import Refused
from domain.rights import ErasureGrounds
from ledger import attributed, certificates
from ledger.certificates import Certificate, Kind
from ledger.errors import NotFound
from ledger.keyring import Keyring
from ledger.ledger import Asked, Ledger
from ledger.sessions import Session, connect
from ledger.vault import Vault

KINDS: dict[Kind, type[ErasePerson | EraseBusiness]] = {"person": ErasePerson, "business": EraseBusiness}
OPENS: dict[Kind, type[RegisterPerson | RegisterBusiness]] = {"person": RegisterPerson, "business": RegisterBusiness}
"""Opens a record for whom only other records name, so that the erasure is told as of everybody else."""
PROMISE = timedelta(hours=24)
"""Within this time the epoch key is gone under which copies of the keys could still be opened."""
AT_ONCE = 500
PREPARE_LOCK = 0x6E63656E_65  # "ncen", e

TABLES = """
CREATE TABLE IF NOT EXISTS ledger.erasure (
    erasure_id uuid PRIMARY KEY,
    subject uuid NOT NULL,
    kind text NOT NULL,
    grounds text NOT NULL,
    attribution bytea NOT NULL,
    asked_at timestamptz NOT NULL,
    erased_at timestamptz,
    keys uuid[] NOT NULL DEFAULT '{}',
    records uuid[] NOT NULL DEFAULT '{}',
    certificate text,
    retold_at timestamptz,
    cleared_at timestamptz,
    destroyed_at timestamptz
);
CREATE INDEX IF NOT EXISTS erasure_subject ON ledger.erasure (subject);
CREATE INDEX IF NOT EXISTS erasure_unfinished ON ledger.erasure (asked_at)
    WHERE erased_at IS NULL OR retold_at IS NULL OR cleared_at IS NULL OR destroyed_at IS NULL;
"""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ledger.erasure: what was asked, and which of its steps are done, by when.

    `erased_at`: the keys are deleted; `retold_at`: projections have been asked to forget; `cleared_at`: nothing is left
    in the files of their tables; `destroyed_at`: the epoch key that opened copies of the keys is gone.
    """

    erasure_id: UUID
    subject: UUID
    kind: Kind
    grounds: ErasureGrounds
    attribution: bytes
    asked_at: datetime
    erased_at: datetime | None = None
    keys: list[UUID] = []
    records: list[UUID] = []
    certificate: str | None = None
    retold_at: datetime | None = None
    cleared_at: datetime | None = None
    destroyed_at: datetime | None = None

    @property
    def by(self) -> Attribution:
        """Who asked, in which role, for what purpose and on what legal basis."""
        return attributed.decode(self.attribution)[0]

    @property
    def promised_by(self) -> datetime:
        """Until when no copy that we control can be opened any more."""
        return (self.erased_at or self.asked_at) + PROMISE


_COLUMNS = ", ".join(Erasure.__struct_fields__)


def prepare(connection: Session) -> None:
    """Make the table of erasures if there is none."""
    if connection.execute("SELECT to_regclass('ledger.erasure_unfinished')").fetchone() != (None,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [PREPARE_LOCK])
        connection.execute(TABLES)


def listed(connection: Session, condition: str = "true", parameters: Sequence[object] = ()) -> list[Erasure]:
    """Return erasures, oldest first; `condition` is our own SQL over the columns."""
    prepare(connection)
    query = f"SELECT {_COLUMNS} FROM ledger.erasure WHERE {condition} ORDER BY asked_at, erasure_id"  # noqa: S608  # our own columns and conditions
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), parameters).fetchall()
    return [Erasure(**row | {"grounds": ErasureGrounds(row["grounds"])}) for row in rows]


def of_subject(connection: Session, subject: UUID) -> list[Erasure]:
    """Return the erasures of a subject, oldest first."""
    return listed(connection, "subject = %s", [subject])


class Eraser:
    """Erases at one node: knows its ledger, its keys and where the certificates are kept."""

    def __init__(self, database_url: str, ledger: Ledger, keyring: Keyring) -> None:
        """Use `open`."""
        self._database_url = database_url
        self._ledger = ledger
        self._keyring = keyring

    @classmethod
    @contextlib.contextmanager
    def open(cls, database_url: str, *, node: str, keys: Path) -> Iterator[Self]:
        """Open the ledger of a node to erase in it.

        Raises:
            Unsafe: as the ledger says.
            psycopg.OperationalError: the server cannot be reached.
        """
        with Ledger.open(database_url, node=node, keys=keys, connections=1) as ledger:
            yield cls(database_url, ledger, Keyring.open(keys))

    def erase(  # who, why, by whom: each says one thing
        self, subject: UUID, kind: Kind, grounds: ErasureGrounds, by: Attribution, *, erasure_id: UUID | None = None
    ) -> Erasure:
        """Erase a person or business; asked again under the same id, the answer is the same.

        Raises:
            NotFound: nothing is on record of it.
            Refused: a hold forbids it, or the id belongs to the erasure of somebody else.
        """
        return self.erase_all([subject], kind, grounds, by, erasure_ids=[erasure_id or self._ledger.new_id()])[0]

    def erase_all(  # as above
        self,
        subjects: Sequence[UUID],
        kind: Kind,
        grounds: ErasureGrounds,
        by: Attribution,
        *,
        erasure_ids: Sequence[UUID] | None = None,
    ) -> list[Erasure]:
        """Erase many; the first that is refused ends it, and those before it are erased.

        Raises as `erase` does.
        """
        ids = list(erasure_ids or (self._ledger.new_id() for _ in subjects))
        with connect(self._database_url) as session:
            prepare(session)
            for subject in subjects:
                self._require_known(session, subject, kind)
            self._intend(session, list(zip(ids, subjects, strict=True)), kind, grounds, by)
            found = {one.erasure_id: one for one in listed(session, "erasure_id = ANY(%s)", [ids])}
            for erasure_id, subject in zip(ids, subjects, strict=True):
                if found[erasure_id].subject != subject:
                    raise Refused("This command id belongs to the erasure of another record.")
            self._finish(session, [one for one in found.values() if one.erased_at is None])
            done = {one.erasure_id: one for one in listed(session, "erasure_id = ANY(%s)", [ids])}
        return [done[erasure_id] for erasure_id in ids]

    def finish(self) -> int:
        """Finish what somebody began and did not end; return how many there were.

        What a hold forbids meanwhile is given up.
        """
        with connect(self._database_url) as session:
            pending = listed(session, "erased_at IS NULL")
            for start in range(0, len(pending), AT_ONCE):
                with contextlib.suppress(Refused):
                    self._finish(session, pending[start : start + AT_ONCE])
        return len(pending)

    def replay(self) -> int:
        """Do again what the certificates say was erased and this database knows nothing of; return how many."""
        with connect(self._database_url) as session:
            prepare(session)
            known = {one.erasure_id for one in listed(session, "erased_at IS NOT NULL")}
            missing = [one for one in certificates.read(self._keyring.folder) if one.erasure_id not in known]
            for one in missing:
                self._intend(session, [(one.erasure_id, one.subject)], one.kind, one.grounds, one.by, at=one.asked_at)
        return self.finish() if missing else 0

    # -- the steps

    def _require_known(self, session: Session, subject: UUID, kind: Kind) -> None:
        row = session.execute(
            "SELECT name, node FROM ledger.entry WHERE record_id = %s ORDER BY version LIMIT 1", [subject]
        ).fetchone()
        if row is not None and row[0].partition(".")[0] != kind:
            raise NotFound(f"There is no {kind} with the id {subject}: it is the id of a {row[0].partition('.')[0]}.")
        if row is None and self._keys_of(session, [subject]) == 0 and not of_subject(session, subject):
            raise NotFound(f"There is no {kind} with the id {subject}.")

    def _keys_of(self, session: Session, subjects: Sequence[UUID]) -> int:
        tags = [self._ledger.vault.subject_tag(subject) for subject in subjects]
        row = session.execute("SELECT count(*) FROM ledger.subject_key WHERE subject_tag = ANY(%s)", [tags]).fetchone()
        return int(row[0]) if row else 0

    def _intend(  # noqa: PLR0913  # the columns of a row
        self,
        session: Session,
        asked: Sequence[tuple[UUID, UUID]],
        kind: Kind,
        grounds: ErasureGrounds,
        by: Attribution,
        *,
        at: datetime | None = None,
    ) -> None:
        rest = [kind, grounds, attributed.encode(by, None), at or datetime.now(UTC)]
        with session.transaction(), session.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO ledger.erasure (erasure_id, subject, kind, grounds, attribution, asked_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [[erasure_id, subject, *rest] for erasure_id, subject in asked],
            )

    def _finish(self, session: Session, pending: Sequence[Erasure]) -> None:
        refusals = self._tell(session, pending)
        allowed = [one for one in pending if one.erasure_id not in refusals]
        if allowed:
            keys = destroy(session, self._ledger.vault, self._keyring, self._ledger.node, allowed)
            self._ledger.vault.forget(keys)
        if refusals:
            session.execute(
                "DELETE FROM ledger.erasure WHERE erasure_id = ANY(%s) AND erased_at IS NULL", [list(refusals)]
            )
            raise next(iter(refusals.values()))

    def _tell(self, session: Session, pending: Sequence[Erasure]) -> dict[UUID, Refused]:
        """Put on record who erases whom and why, in our own records; return what a rule forbids.

        Who has no record here (it was lost in a restore, or never made) and is named by others gets one: from it
        recipients of the others learn of the erasure.
        """
        rows = session.execute(
            "SELECT DISTINCT record_id, node FROM ledger.entry WHERE record_id = ANY(%s)",
            [[one.subject for one in pending]],
        )
        made_by: dict[UUID, str] = dict(rows.fetchall())
        named = self._named_only(session, [one.subject for one in pending if one.subject not in made_by])
        refusals: dict[UUID, Refused] = {}
        by_whom: dict[bytes, list[Erasure]] = {}
        for one in pending:
            if made_by.get(one.subject) == self._ledger.node or one.subject in named:
                by_whom.setdefault(one.attribution, []).append(one)
        for some in by_whom.values():
            asked = [Asked(record_id=one.subject, command=_command(one), command_id=one.erasure_id) for one in some]
            opened = [_opening(one) for one in some if one.subject in named]
            answers = self._ledger.execute_all([*opened, *asked], some[0].by)[len(opened) :]
            for one, answer in zip(some, answers, strict=True):
                if isinstance(answer, Refused):
                    refusals[one.erasure_id] = answer
        return refusals

    def _named_only(self, session: Session, subjects: Sequence[UUID]) -> set[UUID]:
        """Which of these, who have no record here, other records tell something personal of."""
        if not subjects:
            return set()
        of_tag = {self._ledger.vault.subject_tag(subject): subject for subject in subjects}
        rows = session.execute(
            "SELECT DISTINCT subject_tag FROM ledger.subject_key WHERE subject_tag = ANY(%s)", [list(of_tag)]
        )
        return {of_tag[bytes(tag)] for (tag,) in rows}


def _opening(erasure: Erasure) -> Asked:
    """Asks for the record of whom only other records name; asked twice, it is one."""
    command_id = UUID(bytes=sha256(b"ncen erased record 1 " + erasure.erasure_id.bytes).digest()[:16])
    return Asked(record_id=erasure.subject, command=OPENS[erasure.kind](), command_id=command_id)


def _command(erasure: Erasure) -> Command:
    return KINDS[erasure.kind](grounds=erasure.grounds)


def destroy(session: Session, vault: Vault, keyring: Keyring, node: str, pending: Sequence[Erasure]) -> list[UUID]:
    """Delete the keys of these subjects in all records, certify it, and remember what is to be told again.

    One transaction (a savepoint within the caller's); certificates are on disk before it commits. Returns the ids of
    the keys. All that is personal in a subject's own record goes too, whomever else it names.
    """
    gone: list[UUID] = []
    with session.transaction():
        pending = _still_pending(session, pending)
        found = _delete(session, vault, pending)
        at = datetime.now(UTC)  # not before: until the rows are held, a rotation may wrap the keys under its new epoch
        entries = _entries(session, found)
        made: list[Certificate] = []
        for one in pending:
            keys, records = found.get(one.erasure_id, ([], []))
            gone += keys
            made.append(
                Certificate(
                    certificate="ncen-erasure/1",
                    erasure_id=one.erasure_id,
                    node=node,
                    subject=one.subject,
                    kind=one.kind,
                    grounds=one.grounds,
                    by=one.by,
                    asked_at=one.asked_at,
                    erased_at=at,
                    keys=tuple(keys),
                    records=len(records),
                    entries=entries.get(one.erasure_id, 0),
                    epoch=keyring.epoch,
                    promised_by=at + PROMISE,
                )
            )
        notes = certificates.keep(keyring, made)
        with session.cursor() as cursor:
            cursor.executemany(
                "UPDATE ledger.erasure SET erased_at = %s, keys = %s, records = %s, certificate = %s"
                " WHERE erasure_id = %s",
                [
                    [at, keys, [*{*records, one.subject}], note, one.erasure_id]
                    for one, note in zip(pending, notes, strict=True)
                    for keys, records in [found.get(one.erasure_id, ([], []))]
                ],
            )
    return gone


def _still_pending(session: Session, pending: Sequence[Erasure]) -> list[Erasure]:
    """Those that nobody else has finished meanwhile, locked."""
    rows = session.execute(
        "SELECT erasure_id FROM ledger.erasure WHERE erasure_id = ANY(%s) AND erased_at IS NULL"
        " ORDER BY erasure_id FOR UPDATE",
        [[one.erasure_id for one in pending]],
    )
    still = {erasure_id for (erasure_id,) in rows}
    return [one for one in pending if one.erasure_id in still]


Found = dict[UUID, tuple[list[UUID], list[UUID]]]
"""The keys, and the records that they were in, by erasure."""


def _delete(session: Session, vault: Vault, pending: Sequence[Erasure]) -> Found:
    of_tag = {vault.subject_tag(one.subject): one.erasure_id for one in pending}
    of_record = {one.subject: one.erasure_id for one in pending}
    rows: list[tuple[Any, ...]] = session.execute(
        "DELETE FROM ledger.subject_key WHERE subject_tag = ANY(%s) OR record_id = ANY(%s)"
        " RETURNING key_id, record_id, subject_tag",
        [list(of_tag), list(of_record)],
    ).fetchall()
    found: Found = {}
    for key_id, record_id, tag in rows:
        erasure_id = of_tag.get(bytes(tag)) or of_record[record_id]
        keys, records = found.setdefault(erasure_id, ([], []))
        keys.append(key_id)
        if record_id not in records:
            records.append(record_id)
    return found


def _entries(session: Session, found: Found) -> dict[UUID, int]:
    """How many entries can no longer be read, by erasure."""
    of_key = {key_id: erasure_id for erasure_id, (keys, _) in found.items() for key_id in keys}
    rows = session.execute(
        "SELECT key_id, count(*) FROM ledger.entry WHERE record_id = ANY(%s) AND key_id = ANY(%s) GROUP BY key_id",
        [[record for _, records in found.values() for record in records], list(of_key)],
    )
    counts: dict[UUID, int] = {}
    for key_id, count in rows:
        counts[of_key[key_id]] = counts.get(of_key[key_id], 0) + count
    return counts


def replay(database_url: str, keys: Path) -> int:
    """After a restore and before the node opens: erase again whom the certificates in the keys folder name.

    Returns how many erasures the restored database knew nothing of.
    """
    with connect(database_url) as session:
        row = session.execute("SELECT name FROM ledger.node").fetchone()
    with Eraser.open(database_url, node=str(row[0]) if row else "", keys=keys) as eraser:
        return eraser.replay() + eraser.finish()
