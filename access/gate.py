"""The gate as the node calls it: ask for a ticket, commit it, and open what it names; each as the reader alone.

The session that opens is the reader's: it may call the gate's functions and has no right on a table that names anyone.
What the gate refuses comes back as `Withheld`, in words that say nothing of what lies behind it.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from access.masking import masked_entry
from access.schema import enter_reader
from domain.attribution import LegalBasis, Purpose, Role
from domain.entry import Entry
from domain.event import Erased, PersonalEvent
from domain.permissions import SIGHTS
from ledger import line
from ledger.sessions import Session, connect
from ledger.vault import HeldKey, Vault, WrappedKey
from projections.asking import NotReady

SENTENCES = {
    "NC400": "Purpose and legal basis are needed and, to break the glass or unmask, a justification.",
    "NC401": "Nobody is signed in: `ncen login USER`, or set NCEN_TOKEN.",
    "NC403": "This role may not do this.",
    "NC409": "There is no ticket that opens this: it is another's, too old, for something else, or was not committed.",
    "NC423": "Names, numbers and written words are masked to you: ask by filters, or --unmask and say why.",
}
UNBUILT = ("NC503", "42P01", "42703", "3F000")
"""The tables that the predicate asks are not full yet, are not there, or are of an older shape."""
KEY = slice(11, 16)
WRAPPED, IS_MASKED = 15, 16
STEP_S = 0.05


class Withheld(Exception):  # noqa: N818  # an answer, not a fault
    """The gate opens nothing for this; the message is the sentence for the person who asked."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """For which verb, in which role, for what and on what grounds something is asked to be opened."""

    verb: str
    role: Role
    purpose: Purpose
    legal_basis: LegalBasis
    justification: str | None = None
    reference: str | None = None
    breaks: bool = False
    unmasks: bool = False


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A committed ticket, with what must be given to open by it."""

    secret: str
    ticket: UUID
    nonce: UUID
    args: str

    @property
    def given(self) -> list[Any]:
        """The first four arguments of every function that opens."""
        return [self.secret, self.ticket, self.nonce, self.args]


@contextmanager
def reader(reader_url: str) -> Iterator[Session]:
    """A session of the reader, by the address of its login (`access.logins`)."""
    with connect(reader_url) as session:
        enter_reader(session)
        yield session


@contextmanager
def answered() -> Iterator[None]:
    """Turn what the gate refuses into `Withheld`, and what it cannot tell yet into `NotReady`."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate in UNBUILT:
            raise NotReady("The tables that say who may see what are being built: ask again in a while.") from None
        sentence = SENTENCES.get(error.sqlstate or "")
        if sentence is None:
            raise
        raise Withheld(sentence) from None


@contextmanager
def evenly() -> Iterator[None]:
    """Let what is asked take whole steps of time, so that an answer's time does not tell what was passed over.

    A search that meets somebody whom the caller may not see takes some tenths of a millisecond longer (measured:
    `hidden-search` of the bench). An answer that takes nearly a whole step may still differ by one.
    """
    began = time.monotonic()
    try:
        yield
    finally:
        time.sleep((began - time.monotonic()) % STEP_S)


def words_of(**told: Any) -> str:  # noqa: ANN401  # whatever a verb was asked with
    """What was asked, as one text: what is opened by a ticket must be asked in the same words."""
    return json.dumps(told, sort_keys=True, default=str)


def ask(session: Session, secret: str, asked: Asked, records: Sequence[UUID], args: str) -> Ticket:
    """Commit a ticket in the processing log, flushed to disk before anything is opened: one statement, one commit.

    Raises:
        Withheld: the caller may not ask this.
        psycopg.Error: the log takes no line; then nothing is opened.
    """
    with answered():
        row = session.execute(
            "SELECT ticket, nonce FROM gate.ask(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                secret,
                asked.verb,
                asked.role.value,
                asked.purpose.value,
                asked.legal_basis,
                asked.justification,
                asked.reference,
                list(records),
                args,
                asked.breaks,
                asked.unmasks,
            ],
            prepare=True,
        ).fetchone()
    assert row is not None  # noqa: S101  # the function has one row
    return Ticket(secret=secret, ticket=row[0], nonce=row[1], args=args)


def is_masked(asked: Asked) -> bool:
    """Whether who asks this sees pseudonyms, but of records that another role of theirs sees (which the gate knows)."""
    return SIGHTS[asked.role].masked and not asked.breaks and not asked.unmasks


def shown(session: Session, ticket: Ticket, records: Sequence[UUID]) -> None:
    """Commit which ids a search is about to show."""
    with answered():
        session.execute("SELECT gate.shown(%s, %s, %s)", [ticket.secret, ticket.ticket, list(records)])


def subjects(session: Session, ticket: Ticket) -> Iterator[UUID]:
    """Persons and businesses whom the caller sees; those of assigned cases come first, and come again after them."""
    for every in (False, True):
        with answered():
            rows = session.execute("SELECT * FROM gate.subjects(%s, %s, %s, %s, %s)", [*ticket.given, every]).fetchall()
        yield from (row[0] for row in rows)


def level(session: Session, secret: str, role: Role, record: UUID) -> int:
    """How far the caller sees a record: 0 not at all, 1 its open facts, 2 all of it."""
    with answered():
        row = session.execute("SELECT gate.level_for(%s, %s, %s)", [secret, role.value, record]).fetchone()
    return int(row[0]) if row else 0


def open_record(
    session: Session, ticket: Ticket, vault: Vault, record: UUID, until: int | datetime | None = None
) -> list[Entry]:
    """The entries of a record that the caller may see, oldest first, up to a position or moment; numbered as seen.

    An entry that is kept from the caller leaves no gap, so that nothing shows that there is one. What is sealed for
    somebody restricted never leaves the database; of those who have no key of their own it is left out here. Of a
    record that is masked to the caller, what is said reads as `Masked`, and who it is of or leads to as a pseudonym.

    Raises:
        Withheld: the ticket does not open it.
        Damaged: the bytes of an entry do not fit.
    """
    with answered():
        rows = session.cursor(binary=True).execute(
            "SELECT * FROM gate.open(%s, %s, %s, %s, %s)", [*ticket.given, record]
        )
        found = [row for row in rows.fetchall() if _is_until(row, until)]
    keys: dict[UUID, HeldKey] = {}
    for row in found:
        if row[WRAPPED] is not None and row[line.KEY_ID] not in keys:
            wrapped = WrappedKey(row[line.KEY_ID], *row[KEY])
            if (held := vault.unwrap(wrapped)) is not None:
                keys[held.key_id] = held
    entries = line.entries((row[: KEY.start] for row in found), keys)
    hidden = _shielded(session, ticket, entries)
    kept = [entry for entry in entries if not (hidden and _tells_of(entry, hidden))]
    if found and found[0][IS_MASKED]:
        withheld = {row[2] for row in found if row[KEY.start] is not None and row[WRAPPED] is None}
        kept = [masked_entry(entry, vault.keyring, is_kept=entry.version in withheld) for entry in kept]
    if len(kept) == len(entries) and all(entry.version == place for place, entry in enumerate(kept, 1)):
        return kept
    return [msgspec.structs.replace(entry, version=place) for place, entry in enumerate(kept, 1)]


def _is_until(row: tuple[Any, ...], until: int | datetime | None) -> bool:
    if until is None:
        return True
    if isinstance(until, datetime):
        return bool(row[3] <= until)
    return row[0] is not None and row[0] <= until


def restricted(owner: Session, role: Role, entries: Sequence[Entry]) -> set[UUID]:
    """Who is restricted to a role, of those of whom the entries of another's record tell.

    It is asked as the owner, who has just written: to the reader it would tell without a ticket who is restricted.
    """
    told = sorted({subject for entry in entries for subject in subjects_of(entry)})
    if SIGHTS[role].sees_restricted or not told:
        return set()
    rows = owner.execute("SELECT one FROM unnest(%s::uuid[]) AS one WHERE gate.is_restricted(one)", [told]).fetchall()
    return {row[0] for row in rows}


def subjects_of(entry: Entry) -> set[UUID]:
    """The other records that an entry tells of."""
    if isinstance(entry.event, Erased) or not isinstance(entry.event, PersonalEvent):
        return set()
    return {entry.event.subject_of(entry.record_id)} - {entry.record_id}


def _shielded(session: Session, ticket: Ticket, entries: Sequence[Entry]) -> set[UUID]:
    asked = sorted({subject for entry in entries for subject in subjects_of(entry)})
    if not asked:
        return set()
    with answered():
        rows = session.execute("SELECT * FROM gate.shielded(%s, %s, %s, %s, %s)", [*ticket.given, asked]).fetchall()
    return {row[0] for row in rows}


def _tells_of(entry: Entry, hidden: set[UUID]) -> bool:
    return bool(subjects_of(entry) & hidden)
