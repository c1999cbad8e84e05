"""Erasure among nodes: what was sent is withdrawn, recipients are told, erase their copies and sign for it.

The notice is the open entry `person.erased` (or `business.erased`) in the feed: it names a record id and nothing else,
and the feed's signed checkpoint covers it. The receiver destroys its keys in the transaction that records the notice,
and confirms it by a signed note beside its receipts, repeated until the sender has stored it. We can prove that we
asked and what was answered, not what a peer keeps.
"""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import msgspec

from domain import records
from domain.attribution import Attribution, Purpose, Role
from domain.event import PersonalEvent
from domain.rights import ErasureGrounds
from exchange import box, envelope, outbox, renewing
from exchange.envelope import Core, Malformed
from exchange.peers import Identity, Peer
from exchange.release import ERASING
from ledger import attributed, erasure, note
from ledger.clock import from_us, to_us
from ledger.erasure import Erasure
from ledger.received import Received
from ledger.sessions import Session
from ledger.vault import Vault, open_with_entry_key

AT_ONCE = 20
"""Erasures withdrawn in one transaction."""
MOST_CONFIRMED = 10
"""Confirmations that are handed in at once."""
CONFIRM_WITHIN = timedelta(days=3)
"""A recipient that has not confirmed after this is overdue."""
BY_EXCHANGE = Attribution(actor="exchange", role=Role.NODE, purpose=Purpose.EXCHANGE, legal_basis="LED:16-6")
"""Who erases what a peer asked us to: the node itself (Directive (EU) 2016/680, article 16, paragraph 6)."""

_TEXT = re.compile(
    r"^ncen erasure/1\n(?P<origin>[A-Z0-9-]{2,12})>(?P<recipient>[A-Z0-9-]{2,12})\n(?P<subject>[0-9a-f-]{36})\n"
    r"(?P<number>[1-9][0-9]{0,15})\n(?P<at>[0-9]{1,16})\n(?P<keys>[0-9]{1,9})\n\Z"
)


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipient has signed: of which subject, by which line of our feed, when, and how many keys went."""

    subject: UUID
    number: int
    at_us: int
    keys: int


class Notices(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer stands with what it was asked to erase."""

    noticed: int = 0
    confirmed: int = 0
    overdue: tuple[UUID, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer that was given something of a subject has answered: when it was told, and its signed note."""

    peer: str
    noticed_at: datetime
    confirmed_at: datetime | None = None
    confirmation: str | None = None


def answers(connection: Session, subject: UUID) -> list[Answer]:
    """What peers have answered to the erasure of a subject, by name; none where nothing is exchanged."""
    if connection.execute("SELECT to_regclass('exchange.erasure_notice')").fetchone() == (None,):
        return []
    rows = connection.execute(
        "SELECT peer, noticed_at, confirmed_at, confirmation FROM exchange.erasure_notice"
        " WHERE subject = %s ORDER BY peer",
        [subject],
    )
    return [
        Answer(peer=peer, noticed_at=noticed, confirmed_at=confirmed, confirmation=note)
        for peer, noticed, confirmed, note in rows
    ]


# ---------------------------------------------------------------- the sender


def withdraw(connection: Session, own: Identity, peer: Peer, now: datetime) -> list[UUID]:
    """Take the entry keys of the erased out of the feed to a peer, and have the notices decided; the keys' ids.

    A line that carried one goes as its bare leaf hash from now on, if it goes again at all. Within the caller's
    transaction this is a savepoint.
    """
    pending = erasure.listed(
        connection,
        "erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM exchange.withdrawn w"
        " WHERE w.peer = %s AND w.erasure_id = erasure.erasure_id)",
        [peer.node],
    )[:AT_ONCE]
    if not pending:
        return []
    with connection.transaction():
        feed = outbox.load(connection, peer.node)
        for one in pending:
            lines = _lines_of(connection, peer.node, one)
            for number, hash_of_leaf in lines:
                signature = envelope.sign_held(own.signing_key, own.node, peer.node, number, hash_of_leaf, feed.epoch)
                connection.execute(
                    "UPDATE exchange.feed_out SET held = %s, boxed_key = NULL WHERE peer = %s AND number = %s",
                    [signature, peer.node, number],
                )
            feed.generation += bool(lines)
            connection.execute(
                "INSERT INTO exchange.withdrawn (peer, erasure_id, lines, withdrawn_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [peer.node, one.erasure_id, len(lines), now],
            )
            connection.execute(
                "INSERT INTO exchange.again (peer, record_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [peer.node, one.subject],
            )
        outbox.save(connection, feed)
    return [key_id for one in pending for key_id in one.keys]


def _lines_of(connection: Session, peer: str, one: Erasure) -> list[tuple[int, bytes]]:
    """The lines of a feed that carried an entry key of somebody who was erased."""
    rows = connection.execute(
        "SELECT o.number, o.leaf_hash FROM ledger.entry e"
        " JOIN ledger.sealed s ON s.record_id = e.record_id AND s.version = e.version"
        " JOIN exchange.decision d ON d.peer = %s AND d.position = s.position AND d.number IS NOT NULL"
        " JOIN exchange.feed_out o ON o.peer = d.peer AND o.number = d.number AND o.position = d.position"
        " WHERE e.record_id = ANY(%s) AND e.key_id = ANY(%s) AND o.boxed_key IS NOT NULL",
        [peer, one.records, one.keys],
    )
    return [(number, bytes(hash_of_leaf)) for number, hash_of_leaf in rows]


def was_told(connection: Session, peer: str, subject: UUID) -> bool:
    """Whether anything of a record in which the subject was spoken of has gone to a peer."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM ledger.erasure e JOIN exchange.decision d"
        " ON d.peer = %s AND d.record_id = ANY(e.records) AND d.number IS NOT NULL WHERE e.subject = %s)",
        [peer, subject],
    ).fetchone()
    return row == (True,)


def noticed(connection: Session, peer: str, sent: Sequence[tuple[UUID, int]], now: datetime) -> None:
    """Remember that a peer is being told of these subjects, under these numbers of its feed."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO exchange.erasure_notice (peer, subject, number, noticed_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (peer, subject) DO UPDATE SET number = excluded.number"
            " WHERE erasure_notice.confirmed_at IS NULL",
            [(peer, subject, number, now) for subject, number in sent],
        )


def store_confirmations(connection: Session, own: Identity, peer: Peer, notes: Sequence[str], now: datetime) -> None:
    """Keep what a recipient has signed.

    Raises:
        Malformed: a confirmation is not one, is not signed by the peer, or is of another feed.
    """
    for text in notes:
        told = read_confirmation(text, origin=own.node, peer=peer)
        connection.execute(
            "UPDATE exchange.erasure_notice SET confirmed_at = %s, confirmation = %s"
            " WHERE peer = %s AND subject = %s AND number = %s AND confirmed_at IS NULL",
            [now, text, peer.node, told.subject, told.number],
        )


def read_confirmation(text: str, *, origin: str, peer: Peer, is_kept: bool = False) -> Confirmed:
    """What a peer has signed for; one that is kept may be signed by a key that it had then.

    Raises:
        Malformed: as `store_confirmations` says.
    """
    for key, ended_at in renewing.signers(peer, is_kept=is_kept):
        try:
            told = _confirmed(note.verify(text, peer.node, key), origin, peer.node)
        except note.NotSigned:
            continue
        if ended_at is None or from_us(told.at_us) <= ended_at + renewing.STILL_SIGNED:
            return told
    raise Malformed("The confirmation is not signed by the key of the peer that we know.")


def _confirmed(text: str, origin: str, recipient: str) -> Confirmed:
    found = _TEXT.match(text)
    if found is None or (found["origin"], found["recipient"]) != (origin, recipient):
        raise Malformed("The confirmation does not have the form of one, or is of another feed.")
    try:
        subject = UUID(found["subject"])
    except ValueError:
        raise Malformed("The confirmation names no record.") from None
    return Confirmed(subject=subject, number=int(found["number"]), at_us=int(found["at"]), keys=int(found["keys"]))


def notices(connection: Session, peer: str, now: datetime | None = None) -> Notices:
    """How a peer stands with what it was asked to erase; who is overdue, oldest first."""
    rows = connection.execute(
        "SELECT subject, noticed_at, confirmed_at FROM exchange.erasure_notice WHERE peer = %s ORDER BY noticed_at",
        [peer],
    ).fetchall()
    latest = (now or datetime.now(UTC)) - CONFIRM_WITHIN
    return Notices(
        noticed=len(rows),
        confirmed=sum(confirmed_at is not None for _, _, confirmed_at in rows),
        overdue=tuple(subject for subject, at, confirmed_at in rows if confirmed_at is None and at <= latest),
    )


# ---------------------------------------------------------------- the receiver


def take(connection: Session, vault: Vault, received: Sequence[Received], now: datetime) -> None:
    """Erase our copies of whom a peer has erased, and sign for it, in the transaction that records the notices."""
    asked = [one for one in received if one.name in ERASING]
    if not asked:
        return
    row = connection.execute("SELECT name FROM ledger.node").fetchone()
    own_node = str(row[0]) if row else ""
    ids = {_erasure_id(one): one for one in asked}
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger.erasure (erasure_id, subject, kind, grounds, attribution, asked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                [
                    erasure_id,
                    one.record_id,
                    one.name.partition(".")[0],
                    ErasureGrounds.ORIGIN_ERASED,
                    attributed.encode(BY_EXCHANGE, None),
                    now,
                ]
                for erasure_id, one in ids.items()
            ],
        )
    pending = erasure.listed(connection, "erasure_id = ANY(%s) AND erased_at IS NULL", [list(ids)])
    vault.forget(erasure.destroy(connection, vault, vault.keyring, own_node, pending))
    for done in erasure.listed(connection, "erasure_id = ANY(%s)", [list(ids)]):
        one = ids[done.erasure_id]
        signed = _confirmation(one, own_node, vault, len(done.keys), now)
        connection.execute(
            "INSERT INTO exchange.erasure_confirmation (origin, subject, number, note) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (origin, subject) DO UPDATE SET number = excluded.number, note = excluded.note,"
            " stored_at = NULL",
            [one.node, one.record_id, one.provenance.number, signed],
        )


def drop_quarantined(connection: Session, own: Identity, origin: str, subjects: Collection[UUID]) -> None:
    """Take the keys out of a peer's quarantined lines that tell of these subjects: no premise may let them in again."""
    if not subjects:
        return
    rows = connection.execute(
        "SELECT number, core, boxed_key FROM exchange.inbox WHERE origin = %s AND outcome = 'quarantined'"
        " AND boxed_key IS NOT NULL",
        [origin],
    ).fetchall()
    gone = [number for number, core, boxed in rows if _tells_of(bytes(core), bytes(boxed), own, subjects)]
    connection.execute(
        "UPDATE exchange.inbox SET boxed_key = NULL WHERE origin = %s AND number = ANY(%s)", [origin, gone]
    )


def _tells_of(raw: bytes, boxed: bytes, own: Identity, subjects: Collection[UUID]) -> bool:
    """Whether a line speaks of one of these subjects; what does not open as what it says tells nobody of anybody."""
    core = envelope.decode_core(raw, Core)
    if not isinstance(core, Core) or core.record_id in subjects:
        return isinstance(core, Core)
    key = box.unbox_by_any(boxed, own.box_keys, recipient=core.recipient, header=core.header)
    try:
        event = records.read(core.name, open_with_entry_key(key or b"", core.header, core.body))
    except (ValueError, KeyError, msgspec.MsgspecError):
        return False
    return isinstance(event, PersonalEvent) and event.subject_of(core.record_id) in subjects


def _erasure_id(one: Received) -> UUID:
    """Follows from the notice, so that taking it twice is one erasure."""
    return UUID(bytes=sha256(b"ncen erasure 1 " + one.node.encode() + one.leaf).digest()[:16])


def _confirmation(one: Received, own_node: str, vault: Vault, keys: int, now: datetime) -> str:
    text = f"ncen erasure/1\n{one.node}>{own_node}\n{one.record_id}\n{one.provenance.number}\n{to_us(now)}\n{keys}\n"
    return note.sign(text, own_node, vault.keyring.signing_key)


def confirmations(connection: Session, origin: str) -> tuple[str, ...]:
    """The next confirmations that a sender has not stored yet."""
    rows = connection.execute(
        "SELECT note FROM exchange.erasure_confirmation WHERE origin = %s AND stored_at IS NULL"
        " ORDER BY number LIMIT %s",
        [origin, MOST_CONFIRMED],
    )
    return tuple(text for (text,) in rows)


def stored(connection: Session, origin: str, notes: Sequence[str], now: datetime) -> None:
    """Remember that the sender has stored these confirmations."""
    connection.execute(
        "UPDATE exchange.erasure_confirmation SET stored_at = %s WHERE origin = %s AND note = ANY(%s)",
        [now, origin, list(notes)],
    )
