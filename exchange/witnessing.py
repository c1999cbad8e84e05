"""Witnessing between nations: our newest checkpoints go to each peer, and its cosignatures come back.

Two trees are witnessed: the ledger, and the processing log of a closed node. A guest at a peer's NATS asks, the host
answers; each nation is both. A checkpoint tells how large a tree is, and nothing else, so that it goes to nations only:
the CEN has neither the subject nor the right to it. What a peer refuses is stored as a fault, and shown, until the peer
cosigns again.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from exchange import jetstream, losses, witness
from exchange.accounts import inbox_of, login_at, witness_of
from exchange.cosigned import Cosigned
from exchange.nkey import KeyedClient
from exchange.peers import Identity, Peer
from exchange.witness import CONFLICT, COSIGNED, Answer, Asked, NotAsked
from ledger import checkpoint, checkpoints, log_tree
from ledger.checkpoint import Head, NotCheckpoint
from ledger.checkpoints import Cosignature
from ledger.errors import NotFound
from ledger.log_loss import statements
from ledger.node_keys import successions
from ledger.prover import note_of_witness, wait_for_witness
from ledger.sessions import Session, Sessions
from ledger.tree import Tree

EVERY_S = 5.0
ANSWER_S = 10.0
MOST_TRIES = 3


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A tree of ours that is witnessed: where its checkpoints lie, and how what a witness said of it is stored."""

    name: str
    schema: str
    tree: Callable[[Session], Tree]
    store: Callable[[Session, int, Cosignature], None]
    note: Callable[[Session, str, int, str | None], None]
    wait: Callable[[Session, str, str], None]


def _note_of_log(session: Session, name: str, size: int, problem: str | None) -> None:
    log_tree.note(session, size, () if problem is None else (problem,), witness=name)


def _wait_of_log(session: Session, name: str, what: str) -> None:
    if session.execute("SELECT to_regclass('processing.tree_state')").fetchone() != (None,):
        log_tree.wait(session, log_tree.LogTree(session).size(), what, witness=name)


LEDGER = Source(
    name="ledger",
    schema="ledger",
    tree=Tree,
    store=checkpoints.store_cosignature,
    note=note_of_witness,
    wait=wait_for_witness,
)
PROCESSING_LOG = Source(
    name="processing log",
    schema="processing",
    tree=log_tree.LogTree,
    store=log_tree.store_cosignature,
    note=_note_of_log,
    wait=_wait_of_log,
)
_NEWEST = "SELECT size, note FROM {schema}.checkpoint ORDER BY size DESC, made_at DESC LIMIT 1"
_COSIGNED = "SELECT coalesce(max(size), 0) FROM {schema}.cosignature WHERE witness = %s"
_IS_THERE = "SELECT to_regclass('{schema}.checkpoint')"

WAITING = Answer(CONFLICT, losses.WAITS)

log = structlog.get_logger("exchange")


async def serve(
    client: KeyedClient, sessions: Sessions, own: Identity, peer: Peer, kept: Cosigned | None = None
) -> None:
    """Answer the peer's requests on our own NATS, for as long as the client is connected."""

    async def answer(message: Msg) -> None:
        told = await asyncio.to_thread(_judge, sessions, own, peer, message.data, kept)
        if told.status != COSIGNED:
            log.warning("witness.refused", peer=peer.node, status=told.status)
        if message.reply:
            with contextlib.suppress(NatsError):
                await message.respond(told.encode())

    await client.subscribe(witness_of(peer.node), cb=answer)


def _judge(sessions: Sessions, own: Identity, peer: Peer, raw: bytes, kept: Cosigned | None) -> Answer:
    with sessions.session() as connection:
        return witness.judge(connection, own, peer, raw, datetime.now(UTC), kept)


class Due(msgspec.Struct, frozen=True):
    """A checkpoint that a peer is to cosign, and from which size the proof leads to it."""

    head: Head
    note: str
    asked: Asked
    source: Source = LEDGER


class Submitter:
    """Has our checkpoints cosigned by one peer. Database work runs in threads."""

    def __init__(
        self, database_url: str, own: Identity, peer: Peer, tls: ssl.SSLContext | None, keys: Path | None = None
    ) -> None:
        """Ask this peer; `keys` is our keys folder, in which the successions of our keys lie."""
        self._own = own
        self._peer = peer
        self._tls = tls
        self._keys = keys
        self._announced = {LEDGER.name: 0, PROCESSING_LOG.name: 0}
        self._sessions = Sessions(database_url, 1)
        self._name = checkpoint.ledger_of(peer.node)

    async def run(self) -> None:
        """Ask whenever there is a newer checkpoint, until cancelled or until the connection breaks."""
        key = login_at(self._own, self._peer)
        prefix = inbox_of(self._own.node)
        client = await jetstream.connect(self._peer.nats_url or "", key, inbox_prefix=prefix, tls=self._tls)
        try:
            while client.is_connected:
                with contextlib.suppress(asyncio.TimeoutError, NatsError):  # nobody there who answers: ask again later
                    await self._ask(client)
                await asyncio.sleep(EVERY_S)
            raise ConnectionError("the connection to the peer's NATS broke")
        finally:
            self.close()
            with contextlib.suppress(NatsError, OSError, asyncio.TimeoutError):
                await client.close()

    def close(self) -> None:
        """Close the session."""
        self._sessions.close()

    async def _ask(self, client: KeyedClient) -> None:
        for source in await self._announce(client):
            await self._ask_of(client, source)

    async def _ask_of(self, client: KeyedClient, source: Source) -> None:
        old: int | None = None
        for _ in range(MOST_TRIES):
            due = await asyncio.to_thread(self.due, old, source)
            if due is None:
                return
            answered = await client.request(witness_of(self._own.node), due.asked.encode(), timeout=ANSWER_S)
            old = await asyncio.to_thread(self.take, due, answered.data)
            if old is None:
                return

    async def _announce(self, client: KeyedClient) -> tuple[Source, ...]:
        """Lead the peer to the key that we sign with now, and tell it what was lost; once for each connection.

        Returns the trees that may be asked about: not one of which a loss that we have acknowledged waits for the
        peer's administrator, and none while one of the ledger does.
        """
        if self._keys is None:
            return LEDGER, PROCESSING_LOG
        told = [witness.SUCCESSION + note.encode() for note in await asyncio.to_thread(successions, self._keys)]
        lost = [witness.LOG_LOSS + note.encode() for note in await asyncio.to_thread(statements, self._keys)]
        is_led = await self._tell(client, told, LEDGER)
        is_told = await self._tell(client, lost, PROCESSING_LOG)
        return ((LEDGER,) if is_led else ()) + ((PROCESSING_LOG,) if is_led and is_told else ())

    async def _tell(self, client: KeyedClient, told: list[bytes], source: Source) -> bool:
        """Tell the peer what it has not heard on this connection; False where it waits for its administrator."""
        for raw in told[self._announced[source.name] :]:
            answered = await client.request(witness_of(self._own.node), raw, timeout=ANSWER_S)
            if answered.data == WAITING.encode():
                await asyncio.to_thread(self._wait, source)
                return False
            if not answered.data.startswith(b"200\n"):
                log.error("witness.statement-refused", peer=self._peer.node, tree=source.name)
                return True
            self._announced[source.name] += 1
        return True

    def _wait(self, source: Source) -> None:
        """Say that the peer has not accepted our loss yet: no fault of ours, and told until it has."""
        what = f"waits until {self._peer.node} has accepted our loss."
        with self._sessions.session() as connection:
            source.wait(connection, self._name, what)

    def due(self, old: int | None = None, source: Source = LEDGER) -> Due | None:
        """Return our newest checkpoint with a proof from the size that the peer has cosigned, None when it has that."""
        with self._sessions.session() as connection:
            if connection.execute(_of(_IS_THERE, source)).fetchone() == (None,):
                return None
            row = connection.execute(_of(_NEWEST, source)).fetchone()
            cosigned = connection.execute(_of(_COSIGNED, source), [self._name]).fetchone()
            if row is None or cosigned is None or row[0] <= cosigned[0]:
                return None
            head = checkpoint.unsigned(row[1])
            before = cosigned[0] if old is None else old
            proof = _proof(source.tree(connection), before, head.size)
            return Due(head, row[1], Asked(before, proof, row[1]), source)

    def take(self, due: Due, raw: bytes) -> int | None:
        """Store what the peer answered; return the size from which it wants a proof, None when there is no more to do.

        A cosignature counts only if it holds. What was refused is stored as a fault.
        """
        try:
            answer = witness.read_answer(raw)
            problem = self._store(due, answer.body) if answer.status == COSIGNED else self._problem(due, answer)
        except NotAsked as error:
            problem = str(error)
        if isinstance(problem, int):
            return problem
        with self._sessions.session() as connection:
            due.source.note(connection, self._name, due.head.size, problem)
        if problem is not None:
            log.error("witness.not-cosigned", peer=self._peer.node, tree=due.source.name, what=problem)
        return None

    def _store(self, due: Due, line: str) -> str | None:
        key = self._peer.signing_key
        try:
            at = checkpoint.read_cosignature(due.note + line, self._name, key)
        except NotCheckpoint as error:
            return str(error)
        if line.count("\n") != 1:
            return "The answer holds more than one cosignature."
        with self._sessions.session() as connection:
            told = Cosignature(self._name, key.public_bytes_raw(), line, at)
            due.source.store(connection, due.head.size, told)
        return None

    def _problem(self, due: Due, answer: Answer) -> str | int:
        told, tree = answer.body.strip(), due.source.name
        what = "entries" if due.source is LEDGER else "lines"
        if answer.status != CONFLICT or not told.isascii() or not told.isdigit() or len(told) > 16:
            asked = f"the checkpoint of our {tree} for {due.head.size} {what}"
            return f"{self._name} refuses to cosign {asked} (status {answer.status})."
        size = int(told)
        if size > due.head.size:
            return (
                f"{self._name} has cosigned {size} {what} of our {tree}, which has {due.head.size} now:"
                " it was cut off, or this is an older copy."
            )
        if size == due.asked.old:
            return f"{self._name} has cosigned another history of our {tree} up to position {size}."
        return size


def _of(query: str, source: Source) -> bytes:
    return query.format(schema=source.schema).encode()


def _proof(tree: Tree, old: int, size: int) -> tuple[bytes, ...]:
    """Prove that our tree has only grown; of a tree that is damaged nothing is proven, and the witness will say so."""
    if old == 0 or old >= size:
        return ()
    try:
        return tuple(tree.prove_consistency(old, size))
    except (NotFound, IndexError, ValueError):
        return ()
