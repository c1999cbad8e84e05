"""The witness: cosigns a peer's checkpoint if what it is of has only grown since the last one that it cosigned.

A peer has two trees that are witnessed: its ledger, and its processing log, whose origin says so. The words are those
of C2SP tlog-witness's `add-checkpoint`, over NATS instead of HTTP; before them, the successions of the peer's keys,
from the first that its card told. A first checkpoint is taken as it is; then a proof of consistency is needed, never is
a smaller tree cosigned, nor another root at the same size. What was cosigned is kept before it is answered, also
outside of PostgreSQL, so that a witness whose database is brought back forgets none; what was refused is evidence.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from exchange import log_losses, losses, renewing
from exchange.cosigned import Cosigned, NotKept
from exchange.peers import Identity, Peer
from ledger import checkpoint, log_tree, node_keys
from ledger.checkpoint import Head, NotCheckpoint
from ledger.merkle import verify_consistency
from ledger.node_keys import NodeKeys
from ledger.sessions import Session

MOST_BYTES = 32_768
MOST_HASHES = 63
COSIGNED, MALFORMED, NOT_SIGNED, CONFLICT, NOT_PROVEN = 200, 400, 403, 409, 422
SUCCESSION = b"succession\n\n"
LOG_LOSS = b"log-loss\n\n"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")
Last: TypeAlias = tuple[int, bytes, str]
"""The last that was cosigned of a tree: its size, its root, and the line of the cosignature."""
_ANSWER = re.compile(r"(200|400|403|409|422)\n(.*)", re.DOTALL)
_LOCK = 0x6E63656E_77  # "ncen" and w, with the peer's name: one request of a peer is judged at a time

_LAST = "SELECT size, root, line FROM exchange.witnessed WHERE origin = %s ORDER BY size DESC LIMIT 1"
_KEEP = """
    INSERT INTO exchange.witnessed (origin, size, root, note, line, cosigned_at) VALUES (%s, %s, %s, %s, %s, %s)
"""
_REFUSE = """
    INSERT INTO exchange.witness_refusal (origin, reason, size, note, times, first_at, last_at)
    VALUES (%s, %s, %s, %s, 1, %s, %s)
    ON CONFLICT (origin, reason, size) DO UPDATE SET times = witness_refusal.times + 1, last_at = excluded.last_at
"""


class NotAsked(Exception):  # noqa: N818  # an answer, not a fault
    """This is no request, or no answer, of a witness."""


class Asked(msgspec.Struct, frozen=True):
    """A request to cosign: the size that was cosigned last, the proof that the tree grew from it, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def encode(self) -> bytes:
        """The request as it travels."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()


class Answer(msgspec.Struct, frozen=True):
    """The answer: a status, and the cosignature's line, the size that was cosigned last, or why not."""

    status: int
    body: str

    def encode(self) -> bytes:
        """The answer as it travels."""
        return f"{self.status}\n{self.body}".encode()


def read_request(raw: bytes) -> Asked:
    """Read a request.

    Raises:
        NotAsked: it is none.
    """
    if len(raw) > MOST_BYTES:
        raise NotAsked("The request is larger than one may be.")
    try:
        above, divider, note = raw.decode().partition("\n\n")
        first, *hashes = above.split("\n")
        found = _OLD.fullmatch(first)
        proof = tuple(base64.b64decode(one, validate=True) for one in hashes)
    except (UnicodeDecodeError, binascii.Error):
        raise NotAsked("The request is not one to cosign.") from None
    if found is None or not divider or len(proof) > MOST_HASHES or any(len(one) != 32 for one in proof):
        raise NotAsked("The request is not one to cosign.")
    return Asked(int(found[1]), proof, note)


def read_answer(raw: bytes) -> Answer:
    """Read an answer.

    Raises:
        NotAsked: it is none.
    """
    try:
        found = _ANSWER.fullmatch(raw[:MOST_BYTES].decode())
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise NotAsked("The answer is not one of a witness.")
    return Answer(int(found[1]), found[2])


def judge(  # noqa: PLR0913, PLR0917  # who asks whom for what, when, and where it is kept
    connection: Session, own: Identity, peer: Peer, raw: bytes, at: datetime, kept: Cosigned | None = None
) -> Answer:
    """Cosign what a peer has asked for, or say why not; what came of it is committed when this returns.

    `kept` is where what we cosign is kept outside of PostgreSQL too.
    """
    if raw.startswith(SUCCESSION):
        return _follow(connection, peer, raw.removeprefix(SUCCESSION), at)
    if raw.startswith(LOG_LOSS):
        return _hear_of_loss(connection, peer, raw.removeprefix(LOG_LOSS), at)
    try:
        asked = read_request(raw)
    except NotAsked as error:
        return Answer(MALFORMED, str(error))
    with connection.transaction():
        return _judge(connection, own, peer, asked, at, kept)


def _judge(  # noqa: PLR0913, PLR0917  # as `judge`
    connection: Session, own: Identity, peer: Peer, asked: Asked, at: datetime, kept: Cosigned | None
) -> Answer:
    origin = _origin_of(peer, asked.note)
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK % 2**31, origin])
    try:
        head = _read(keys_of(connection, peer), peer, origin, asked.note)
    except NotCheckpoint as error:
        return _refused(connection, Answer(NOT_SIGNED, str(error)), Head(origin, 0, b""), asked.note, at)
    row = connection.execute(_LAST, [origin]).fetchone()
    last = (0, b"", "") if row is None else (int(row[0]), bytes(row[1]), str(row[2]))
    try:
        last = _newer(last, None if kept is None else kept.read(origin))
    except NotKept as error:
        return _refused(connection, Answer(NOT_PROVEN, str(error)), head, asked.note, at)
    problem = _problem(asked, head, last)
    if problem is not None:
        is_normal = problem.status == CONFLICT and asked.old != last[0] and head.size >= last[0]
        return problem if is_normal else _refused(connection, problem, head, asked.note, at)
    if head.size == last[0]:
        return Answer(COSIGNED, renewing.cosignature(own, asked.note, last[2], at))
    line = checkpoint.cosignature(asked.note, checkpoint.ledger_of(own.node), own.signing_key, at)
    if kept is not None:
        kept.write(head, asked.note, line)
    connection.execute(_KEEP, [origin, head.size, head.root, asked.note, line, at])
    return Answer(COSIGNED, line)


def _newer(last: Last, kept: Last | None) -> Last:
    """The last that was cosigned, by the database or by what is kept outside of it; that outside goes before."""
    return kept if kept is not None and kept[0] >= last[0] else last


def _origin_of(peer: Peer, note: str) -> str:
    """Which of the peer's trees a note says that it is of; what is of neither is judged, and refused, as its ledger."""
    log = log_tree.origin_of(peer.node)
    return log if note.startswith(f"{log}\n") else checkpoint.ledger_of(peer.node)


def _read(keys: NodeKeys, peer: Peer, origin: str, note: str) -> Head:
    """Read a note: of the ledger by the key that counts for its size, of the processing log by the newest key."""
    if origin == log_tree.origin_of(peer.node):
        return log_tree.read(note, origin, keys, only_newest=True)
    return keys.read(note)


def keys_of(connection: Session, peer: Peer) -> NodeKeys:
    """Return the keys that a peer's ledger is signed with: the first of its card, and those to which it has led us."""
    origin = checkpoint.ledger_of(peer.node)
    rows = connection.execute(
        "SELECT note FROM exchange.peer_succession WHERE origin = %s ORDER BY serial", [origin]
    ).fetchall()
    return node_keys.chain(origin, peer.keys.first_identity, tuple(note for (note,) in rows))


def _follow(connection: Session, peer: Peer, raw: bytes, at: datetime) -> Answer:
    """Take in a succession of the peer's keys, if it follows upon what we know; one that we know is no news.

    One that states a loss waits for our administrator.
    """
    if len(raw) > node_keys.MOST_NOTE_BYTES:
        return Answer(MALFORMED, "This is too large for a succession of keys.")
    try:
        note = raw.decode()
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK % 2**31, peer.node])
            known = keys_of(connection, peer)
            if note in known.notes:
                return Answer(COSIGNED, "")
            following = node_keys.chain(known.origin, known.keys[0].public_key, (*known.notes, note))
            if losses.is_loss(following):
                is_waiting = losses.is_waiting(connection, following, note, at)
                problem = Answer(CONFLICT, losses.WAITS if is_waiting else "")
                head = Head(known.origin, following.losses[-1].size, b"")
                return problem if is_waiting else _refused(connection, problem, head, note, at)
            connection.execute(
                "INSERT INTO exchange.peer_succession (origin, serial, note) VALUES (%s, %s, %s)",
                [known.origin, len(known.notes) + 1, note],
            )
    except (NotCheckpoint, UnicodeDecodeError):
        return Answer(NOT_SIGNED, "The succession does not follow upon the key of this node that we know.")
    return Answer(COSIGNED, "")


def _hear_of_loss(connection: Session, peer: Peer, raw: bytes, at: datetime) -> Answer:
    """Keep a statement that lines of the peer's processing log were lost, until our administrator accepts it."""
    origin = log_tree.origin_of(peer.node)
    if len(raw) > node_keys.MOST_NOTE_BYTES:
        return Answer(MALFORMED, "This is too large for a statement of a loss.")
    try:
        note = raw.decode()
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK % 2**31, origin])
            if log_losses.is_accepted(connection, origin, note):
                return Answer(COSIGNED, "")
            known = losses.with_waiting(connection, keys_of(connection, peer))
            told = log_losses.read(connection, origin, known, note)
            if log_losses.is_waiting(connection, told, note, at):
                return Answer(CONFLICT, losses.WAITS)
            return _refused(connection, Answer(CONFLICT, ""), Head(origin, told.lost, b""), note, at)
    except (NotCheckpoint, UnicodeDecodeError):
        return Answer(NOT_SIGNED, "The statement of a loss does not follow upon what we know of this node.")


def _problem(asked: Asked, head: Head, last: tuple[int, bytes, str]) -> Answer | None:
    """Say why a signed checkpoint is not cosigned, None where nothing stands against it."""
    size, root, _ = last
    if head.size < size or (head.size == size and head.root != root) or asked.old != size:
        return Answer(CONFLICT, f"{size}\n")
    if asked.old > head.size:
        return Answer(MALFORMED, "The old size is larger than the new one.")
    if size == 0:
        return None if not asked.proof else Answer(NOT_PROVEN, "Nothing is proven from an empty tree.")
    if not verify_consistency(size, head.size, asked.proof, root, head.root):
        return Answer(NOT_PROVEN, "It is not proven that the ledger has only grown.")
    return None


def _refused(connection: Session, answer: Answer, head: Head, note: str, at: datetime) -> Answer:
    """Keep what was refused, and for what reason."""
    reason = {NOT_SIGNED: "not-signed", NOT_PROVEN: "not-proven", CONFLICT: "rewound-or-forked"}.get(
        answer.status, "malformed"
    )
    connection.execute(_REFUSE, [head.origin, reason, head.size, note.replace("\0", ""), at, at])
    return answer


class Witnessed(msgspec.Struct, frozen=True, kw_only=True):
    """How witnessing stands with a peer: what it has cosigned of ours, and what we of its, and what was refused."""

    peer: str
    ours: int
    ours_at: datetime | None
    theirs: int
    theirs_at: datetime | None
    refused: int


def standing(connection: Session, nations: Sequence[str]) -> list[Witnessed]:
    """Return how witnessing stands with these peers."""
    return [_standing(connection, node) for node in nations]


def _standing(connection: Session, node: str) -> Witnessed:
    name = checkpoint.ledger_of(node)
    ours = connection.execute(
        "SELECT size, cosigned_at FROM ledger.cosignature WHERE witness = %s ORDER BY size DESC LIMIT 1", [name]
    ).fetchone()
    theirs = connection.execute(
        "SELECT size, cosigned_at FROM exchange.witnessed WHERE origin = %s ORDER BY size DESC LIMIT 1", [name]
    ).fetchone()
    refused = connection.execute(
        "SELECT coalesce(sum(times), 0) FROM exchange.witness_refusal WHERE origin = %s", [name]
    ).fetchone()
    return Witnessed(
        peer=node,
        ours=ours[0] if ours else 0,
        ours_at=ours[1] if ours else None,
        theirs=theirs[0] if theirs else 0,
        theirs_at=theirs[1] if theirs else None,
        refused=int(refused[0]) if refused else 0,
    )
