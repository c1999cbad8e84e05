"""The exchange at work: exporters, relays and receivers for all peers of a node, until told to stop.

Whatever breaks is begun again after a bounded pause, from what PostgreSQL says; new peers are taken up while it runs.
One worker at a time is connected (a lock in PostgreSQL says which); others wait to take over, and what they do in the
meantime locks its feed. Log lines name nodes, numbers and kinds of error, never what was recorded.
"""

import asyncio
import contextlib
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import psycopg
import structlog

from exchange import cen_process, peers, premises, schema
from exchange.cosigned import WITNESSED, Cosigned
from exchange.feed import Exporter
from exchange.inbox import Inbox
from exchange.peers import Identity, Peer, Role
from exchange.receiver import Receiver
from exchange.recording import EntryRecorder, NoticeRecorder, Recorder
from exchange.relay import Relay
from exchange.witnessing import Submitter
from ledger import loss, node_keys
from ledger.keyring import Keyring
from ledger.ledger import Ledger, Reader
from ledger.sessions import Session, connect
from ledger.vault import Vault

T = TypeVar("T")

SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_S = 10.0
"""After running so long, the next pause is the shortest again."""
LOOK_S = 0.5
"""How often it is looked for new peers."""
WAKE_S = 1.0
"""How long an exporter waits for something to be sealed; a day may have begun meanwhile."""
STEPS_IN_A_ROW = 20
HEARD_WITHIN_S = 2.0
THREADS = 32
TURN = (0x6E63656E, 0x78)
"""The lock of the worker that is connected: "ncen" and x."""

Part: TypeAlias = tuple[str, str, str | None, str]
"""A relay or receiver: which of them, for which peer, at which address, under which of its cards."""

log = structlog.get_logger()


def run(  # noqa: PLR0913  # what a worker of a node is given, each by its name
    database_url: str,
    *,
    node: str,
    keys: Path,
    nats_url: str | None,
    stop: threading.Event,
    role: str = Role.NATION,
    tls: ssl.SSLContext | None = None,
    own_tls: ssl.SSLContext | None = None,
    checkpoints: Path | None = None,
) -> None:
    """Exchange with all peers until `stop` is set.

    `nats_url` is our own server, on which peers read from us (None: we only receive); `tls` is for connections to
    peers, `own_tls` for that to our own server; `checkpoints` is the folder in which what we cosign is kept too.

    When a key of our card is replaced, it goes on with the new one.

    Raises:
        Unsafe, ValueError: the database belongs to another node or role, or its settings are not safe.
    """
    schema.prepare(database_url, node=node, role=role)
    while not stop.is_set():
        with _until_renewed(keys, stop) as shift:
            _run(database_url, node, keys, nats_url, shift, role, (tls, own_tls), checkpoints)


@contextlib.contextmanager
def _until_renewed(keys: Path, stop: threading.Event) -> Iterator[threading.Event]:
    """An event that is set when the worker is told to stop, or the keys of our card are not those any more."""
    shift, was = threading.Event(), _edition(keys)

    def watch() -> None:
        while not shift.is_set() and not stop.wait(LOOK_S) and _edition(keys) == was:
            pass
        shift.set()

    watching = threading.Thread(target=watch, name="exchange-watch", daemon=True)
    watching.start()
    try:
        yield shift
    finally:
        shift.set()
        watching.join()


def _edition(keys: Path) -> list[str]:
    """The statements about our card's keys, and the box keys that are there."""
    if not keys.is_dir():
        return []
    return sorted(path.name for path in keys.iterdir() if path.name.startswith(("card-", "box")))


def _run(  # noqa: PLR0913, PLR0917  # what `run` is given
    database_url: str,
    node: str,
    keys: Path,
    nats_url: str | None,
    stop: threading.Event,
    role: str,
    tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
    checkpoints: Path | None,
) -> None:
    """Exchange under our card as it is."""
    own = Identity.open(keys, node=node, role=role)
    with connect(database_url) as connection:
        loss.recall(connection, node_keys.known(keys, node, Keyring.open(keys).first_identity))
    with contextlib.ExitStack() as stack:
        recorder: Recorder
        if own.role is Role.CEN:
            recorder = NoticeRecorder(stack.enter_context(Ledger.open(database_url, node=node, keys=keys)))
        else:
            recorder = EntryRecorder(own.box_keys, Vault(Keyring.open(keys)))
        threads = stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="exchange"))
        work = Work(database_url, own, keys, recorder, nats_url, stop, tls, checkpoints)
        exporters = [threads.submit(work.export_to_nations), threads.submit(work.export_to_cen)]
        try:
            asyncio.run(work.connect_all(threads))
        finally:
            stop.set()
            for exporter in exporters:
                exporter.result()


class Work:
    """The work of one node."""

    def __init__(  # noqa: PLR0913, PLR0917  # what `run` is given
        self,
        database_url: str,
        own: Identity,
        keys: Path,
        recorder: Recorder,
        nats_url: str | None,
        stop: threading.Event,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        checkpoints: Path | None = None,
    ) -> None:
        """Work for this node."""
        self._url = database_url
        self._own = own
        self._keys = keys
        self._recorder = recorder
        self._nats_url = nats_url
        self._stop = stop
        self._tls, self._own_tls = tls
        self._kept = None if checkpoints is None else Cosigned(checkpoints / WITNESSED)
        self._stopped = asyncio.Event()
        self._turn: Session | None = None
        self._ending: set[asyncio.Task[None]] = set()

    # -- exporters, each in a thread

    def export_to_nations(self) -> None:
        """Decide and release for all nations, and judge again what was quarantined."""
        if self._own.role is Role.NATION:
            self._repeat("exporter", self._export_to_nations)

    def _export_to_nations(self) -> None:
        with contextlib.ExitStack() as stack:
            reader = stack.enter_context(Reader.open(self._url, keys=self._keys))
            connection = stack.enter_context(connect(self._url))
            inboxes: dict[str, Inbox] = {}
            while not self._stop.is_set():
                nations = [peer for peer in peers.active(connection) if peer.role is Role.NATION]
                head = premises.refresh(connection, reader)
                was_busy = False
                for peer in nations:
                    if peer.node not in inboxes:
                        inbox = Inbox(self._url, self._own, peer, self._recorder)
                        inboxes[peer.node] = stack.enter_context(contextlib.closing(inbox))
                    inboxes[peer.node].judge_again(datetime.now(UTC))
                    was_busy |= self._export(Exporter(connection=connection, reader=reader, own=self._own, peer=peer))
                if not was_busy:
                    reader.wait(head, WAKE_S)

    def _export(self, exporter: Exporter) -> bool:
        """Take some steps, so that no peer waits for another's backlog; returns whether there is more to do."""
        steps = 0
        while steps < STEPS_IN_A_ROW and not self._stop.is_set() and exporter.step(datetime.now(UTC)):
            steps += 1
        return steps == STEPS_IN_A_ROW

    def export_to_cen(self) -> None:
        """Tell the CEN, once it is a peer, in a process of its own that holds no other key; see `cen_process`."""
        if self._own.role is Role.NATION:
            self._repeat("cen exporter", self._export_to_cen)

    def _export_to_cen(self) -> None:
        while not self._tells_a_cen():
            if self._stop.wait(LOOK_S):
                return
        seed = self._own.signing_key.private_bytes_raw()
        child = cen_process.start(cen_process.Given(database_url=self._url, node=self._own.node, signing_key=seed))
        try:
            while child.poll() is None and not self._stop.wait(4 * LOOK_S) and self._tells_a_cen():
                pass
        finally:
            cen_process.end(child)

    def _tells_a_cen(self) -> bool:
        return any(peer.role is Role.CEN and peer.is_active for peer in peers.known(self._url))

    def _repeat(self, name: str, work: Callable[[], None]) -> None:
        pause_s = SHORTEST_PAUSE_S
        while not self._stop.is_set():
            began = datetime.now(UTC)
            try:
                work()
            except Exception as error:  # noqa: BLE001  # whatever it was, it is begun again from what PostgreSQL says
                log.warning("exchange.interrupted", part=name, error=_kind(error))
            if (datetime.now(UTC) - began).total_seconds() > STEADY_S:
                pause_s = SHORTEST_PAUSE_S
            self._stop.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    # -- relays and receivers, in one event loop

    async def connect_all(self, threads: ThreadPoolExecutor) -> None:
        """Keep a relay and a receiver for each peer, until told to stop."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(threads)
        loop.set_task_factory(remembering)
        threads.submit(lambda: self._stop.wait() and loop.call_soon_threadsafe(self._stopped.set))
        tasks: dict[Part, asyncio.Task[None]] = {}
        while not self._stop.is_set():
            try:
                known = await asyncio.to_thread(self._peers)
            except psycopg.Error as error:
                log.warning("exchange.interrupted", part="peers", error=_kind(error))
                known = []
            wanted = {part: run for peer in known for part, run in self._parts(peer)}
            for part in tasks.keys() - wanted.keys():
                gone = asyncio.create_task(ended([tasks.pop(part)]))
                self._ending.add(gone)
                gone.add_done_callback(self._ending.discard)
            for part in wanted.keys() - tasks.keys():
                tasks[part] = asyncio.create_task(self._supervise(part, wanted[part]))
            await self._sleep(LOOK_S)
        await ended(list(tasks.values()))
        await asyncio.gather(*self._ending)
        if self._turn is not None:
            self._turn.close()

    def _peers(self) -> list[Peer]:
        """The peers to connect with: none while another worker of this node is connected."""
        if self._turn is None or self._turn.closed:
            self._turn = connect(self._url)
        row = self._turn.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
            "AND classid = %s AND objid = %s AND granted) OR pg_try_advisory_lock(%s, %s)",
            [*TURN, *TURN],
        ).fetchone()
        return peers.active(self._turn) if row == (True,) else []

    def _parts(self, peer: Peer) -> list[tuple[Part, Callable[[], Awaitable[None]]]]:
        parts: list[tuple[Part, Callable[[], Awaitable[None]]]] = []
        if self._own.role is Role.NATION and self._nats_url is not None:
            parts.append((("relay", peer.node, None, peer.fingerprint), lambda: self._relay(peer)))
        if peer.role is Role.NATION and peer.nats_url is not None:
            parts.append((("receiver", peer.node, peer.nats_url, peer.fingerprint), lambda: self._receive(peer)))
            if self._own.role is Role.NATION:
                parts.append((("witness", peer.node, peer.nats_url, peer.fingerprint), lambda: self._submit(peer)))
        return parts

    async def _relay(self, peer: Peer) -> None:
        await Relay(self._url, self._own, peer, self._nats_url or "", self._own_tls, self._kept).run()

    async def _receive(self, peer: Peer) -> None:
        with contextlib.closing(Inbox(self._url, self._own, peer, self._recorder)) as inbox:
            await Receiver(inbox, self._own, peer, self._tls).run()

    async def _submit(self, peer: Peer) -> None:
        await Submitter(self._url, self._own, peer, self._tls, self._keys).run()

    async def _supervise(self, part: Part, run_part: Callable[[], Awaitable[None]]) -> None:
        """Run a part again and again, with growing pauses while it breaks at once."""
        pause_s = SHORTEST_PAUSE_S
        while not self._stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await run_part()
            except Exception as error:  # noqa: BLE001  # whatever it was, it is begun again from what PostgreSQL says
                log.warning("exchange.interrupted", part=part[0], peer=part[1], error=_kind(error))
            if asyncio.get_running_loop().time() - began > STEADY_S:
                pause_s = SHORTEST_PAUSE_S
            await self._sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but wake up when told to stop."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks, and what they have begun.

    A cancellation is lost where it meets a wait at the very moment at which that ends (`asyncio.wait_for` before Python
    3.12), also in a task of a group: what still runs after a while is cancelled again.
    """
    pending = set(tasks)
    for task in pending:
        task.cancel()
    while pending:
        done, pending = await asyncio.wait(pending, timeout=HEARD_WITHIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # whatever it was, it is told already
        for task in asyncio.all_tasks() if pending else ():
            if pending & _line_of(task):
                task.cancel()


_begun_by: "weakref.WeakKeyDictionary[asyncio.Future[Any], asyncio.Task[Any] | None]" = weakref.WeakKeyDictionary()


def remembering(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T] | Generator[Any, None, T],
    /,
    **told: Any,  # noqa: ANN401  # as asyncio gives it
) -> "asyncio.Future[T]":
    """Make the tasks of a loop (its task factory), and remember which task has begun each."""
    task = asyncio.Task(work, loop=loop, **told)
    _begun_by[task] = asyncio.current_task(loop)
    return task


def _line_of(task: "asyncio.Task[Any]") -> "set[asyncio.Task[Any]]":
    """A task, who has begun it, and so on."""
    line = {task}
    while (above := _begun_by.get(task)) is not None:
        line.add(above)
        task = above
    return line


def _kind(error: BaseException) -> str:
    """The kinds of error, without their words, which may quote what was recorded."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(sorted({_kind(one) for one in error.exceptions}))
    return type(error).__name__
