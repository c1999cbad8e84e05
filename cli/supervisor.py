"""The process that keeps a node alive: it starts PostgreSQL, NATS and the workers, and starts again what dies.

It keeps these rules: one supervisor for a home; a worker that dies comes back, ever more slowly while it keeps dying;
all stops in the reverse order of its start; what an earlier supervisor has left behind is stopped first, and only when
it proves to be ours. A node with NCEN_DATABASE_URL or NCEN_NATS_URL uses those servers and starts none.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from cli.nats_server import EmbeddedNats
from cli.output import ExitCode, Unreachable, code_of, sentence_of
from cli.postgres import EmbeddedPostgres
from cli.processes import Process, end, find, held, holder, until, write_durably
from cli.settings import Settings, load

if TYPE_CHECKING:
    import structlog

DATABASE = "ncen"
KINDS = ("seal", "prove", "project", "exchange", "follow")
TICK_S = 0.25
SLOWEST_RESTART_S = 30.0
SETTLED_S = 60.0  # a worker that has lived this long is taken for sound again
READY_AFTER_S = 0.3
START_WAIT_S = 120.0
TRIES = 3


def postgres_of(settings: Settings) -> EmbeddedPostgres | None:
    """Return the node's own PostgreSQL, or None when it uses one that exists."""
    if settings.database_url is not None:
        return None
    return EmbeddedPostgres(settings.home / "postgres", bin_dir=settings.pg_bin)


def database_url(settings: Settings) -> str:
    """Return where the node's database is. Raises Unreachable when its own PostgreSQL has never been started."""
    server = postgres_of(settings)
    return settings.database_url or "" if server is None else server.dsn(DATABASE)


def nats_of(settings: Settings) -> EmbeddedNats | None:
    """Return the node's own NATS, or None when it uses one that exists or wants none at all."""
    if settings.nats_url is not None or settings.nats == "never":
        return None
    address, port = settings.nats_address
    return EmbeddedNats(settings.home / "nats", address=address, port=port)


def wants_nats(settings: Settings) -> bool:
    """Tell whether the node needs NATS: the CEN's does, one that has a peer does, and one that always wants it."""
    return settings.role == "cen" or settings.nats == "always" or (settings.home / "nats.wanted").exists()


def nats_url(settings: Settings) -> str | None:
    """Return where the node's NATS is, or None when there is none (yet)."""
    server = nats_of(settings)
    if server is None:
        return settings.nats_url
    return server.url if wants_nats(settings) and server.is_running() else None


def ask_for_nats(settings: Settings, *, wait_s: float = START_WAIT_S) -> EmbeddedNats | None:
    """Let the node have NATS from now on (it gets its first peer), and return it; None when it is not ours to run.

    A running supervisor starts it within `wait_s`, and who may connect is brought up to date; without a supervisor
    both happen at the next `ncen up`.
    """
    server = nats_of(settings)
    if server is None:
        return None
    (settings.home / "nats.wanted").touch(mode=0o600)
    supervisor = running(settings)
    if supervisor is not None:
        supervisor.send_signal(signal.SIGHUP)
        if not until(server.is_running, wait_s=wait_s):
            raise Unreachable(f"NATS did not start; {settings.log / 'supervisor.log'} tells why.")
        write_accounts(settings, server)
    return server


def write_accounts(settings: Settings, server: EmbeddedNats) -> None:
    """Let those connect to the node's NATS who are peers now, and nobody else."""
    from cli.certificates import given_to
    from exchange.accounts import render
    from exchange.peers import Identity, known

    own = Identity.open(settings.keys, node=settings.node, role=settings.role)
    peers, tls = known(database_url(settings)), given_to(server, settings)
    server.write_accounts(render(own, peers, node_password=server.node_password, tls=tls))
    server.reload()


def running(settings: Settings) -> Process | None:
    """Return the running supervisor of this home, or None."""
    path = settings.run / "supervisor.pid"
    # One that is just starting or dying holds the file for a moment without being recognisable.
    if not until(lambda: holder(path) is None or _supervisor(path) is not None, wait_s=3):
        raise Unreachable(f"{path} is held by a process that cannot be reached from here.")
    return _supervisor(path)


def _supervisor(path: Path) -> Process | None:
    pid = holder(path)
    if not pid:
        return None
    return find(pid, words=("cli.supervisor",)) or find(pid, words=("up", "--foreground"))


def state_of(settings: Settings) -> dict[str, Any]:
    """Return what the supervisor last wrote of itself; empty when there is nothing."""
    try:
        return dict(msgspec.json.decode((settings.run / "state.json").read_bytes()))
    except (OSError, msgspec.DecodeError):
        return {}


def worker_pid_file(settings: Settings, kind: str) -> Path:
    """Return the pid file that a worker of this kind holds locked while it works."""
    return settings.run / f"work-{kind}.pid"


def worker_process(settings: Settings, kind: str) -> Process | None:
    """Return the live worker of this kind, whoever started it, or None."""
    pid = holder(worker_pid_file(settings, kind))
    return find(pid, words=("work", kind)) if pid else None


def stop_leftovers(settings: Settings, kinds: Sequence[str] = KINDS) -> list[str]:
    """Stop the workers that a killed supervisor has left behind, and return their kinds."""
    stopped = []
    for kind in reversed(kinds):
        process = worker_process(settings, kind)
        if process is not None:
            end(process)
            stopped.append(kind)
    return stopped


@dataclass(slots=True)
class Worker:
    """One worker as its supervisor knows it."""

    kind: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    next_start_at: float = 0.0
    failures: int = 0
    restarts: int = -1

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None


@dataclass(slots=True)
class Supervisor:
    """Keeps the node of one home alive from `run` until it is asked to stop (SIGTERM, SIGINT)."""

    settings: Settings
    commands: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {kind: (sys.executable, "-m", "cli.main", "work", kind) for kind in KINDS}
    )
    workers: list[Worker] = field(default_factory=list)
    postgres: EmbeddedPostgres | None = None
    nats: EmbeddedNats | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _has_changed: threading.Event = field(default_factory=threading.Event)
    _server_start_at: float = 0.0
    _server_failures: int = 0
    _log: "structlog.typing.FilteringBoundLogger | None" = None
    _written: bytes = b""
    _edition: bytes = b""

    def run(self, *, is_seen: bool = False) -> ExitCode:
        """Bring the node up, keep it up until asked to stop, bring it down; return how it ended.

        `is_seen` logs to stderr as well. Raises Held when this home has a supervisor already.
        """
        from cli.log import open_log

        self._listen()
        with held(self.settings.run / "supervisor.pid"):
            self._log = open_log(self.settings.log / "supervisor.log", also_stderr=is_seen)
            try:
                self._write_state("starting")
                self._bring_up()
                self._tell("node is up", node=self.settings.node)
                self._keep_up()
            except Exception as error:  # noqa: BLE001  # whatever it was, all is stopped and the reason told
                return self._give_up(error)
            else:
                self._bring_down()
                self._write_state("stopped")
                return ExitCode.DONE

    def _give_up(self, error: Exception) -> ExitCode:
        code = code_of(error)
        sentence = sentence_of(error, code)
        self._tell("node could not be kept up", error=type(error).__name__)
        self._bring_down()
        self._write_state("failed", message=sentence, code=int(code))
        return code

    def _listen(self) -> None:
        def on_stop(_number: int, _frame: FrameType | None) -> None:
            self._stop.set()

        def on_change(_number: int, _frame: FrameType | None) -> None:
            self._has_changed.set()

        signal.signal(signal.SIGTERM, on_stop)
        signal.signal(signal.SIGINT, on_stop)
        signal.signal(signal.SIGHUP, on_change)

    # Up

    def _bring_up(self) -> None:
        if (self.settings.home / "restoring").exists():
            raise Unreachable("A restore into this home has not ended: say `ncen restore` again, it begins anew.")
        for kind in stop_leftovers(self.settings, tuple(self.commands)):
            self._tell("stopped a worker left behind", worker=kind)
        self.postgres = postgres_of(self.settings)
        if self.postgres is not None:
            self.postgres.start()
            self.postgres.create_database(DATABASE)
        self._prepare_tables()
        self._start_nats_if_wanted()
        self.workers = [Worker(kind, command) for kind, command in self.commands.items()]
        for worker in self.workers:
            self._start(worker)
        if not until(self._all_ready, wait_s=START_WAIT_S) and not self._stop.is_set():
            raise Unreachable(f"The workers do not get ready; the files in {self.settings.log} tell why.")

    def _prepare_tables(self) -> None:
        """Make or upgrade the tables; refuse an unsafe server, and a ledger that is not of this node and these keys."""
        from access import schema as access
        from exchange import schema
        from ledger.ledger import Ledger

        url = database_url(self.settings)
        Ledger.open(url, node=self.settings.node, keys=self.settings.keys, connections=1).close()
        access.renew(url, self.settings.keys)
        try:
            schema.prepare(url, node=self.settings.node, role=self.settings.role)
        except ValueError as error:
            raise Unreachable(str(error)) from None

    def _all_ready(self) -> bool:
        """Look after the workers once more and tell whether all work; give up on one that keeps dying."""
        self._look_after_workers()
        for worker in self.workers:
            if worker.failures >= TRIES:
                path = self.settings.log / f"{worker.kind}.log"
                raise Unreachable(f"The worker `ncen work {worker.kind}` does not stay up; {path} tells why.")
        return self._stop.is_set() or all(self._is_ready(worker) for worker in self.workers)

    def _is_ready(self, worker: Worker) -> bool:
        is_old = time.monotonic() - worker.started_at > READY_AFTER_S
        holds = worker.process is not None and holder(worker_pid_file(self.settings, worker.kind)) == worker.process.pid
        return worker.is_alive and is_old and holds

    def _start_nats_if_wanted(self) -> bool:
        """Start NATS when the node has come to need it; tell whether it was started now."""
        server = nats_of(self.settings)
        if self.nats is not None or server is None or not wants_nats(self.settings):
            return False
        from ledger import card_keys

        server.start()
        self._edition = card_keys.edition(self.settings.keys)
        write_accounts(self.settings, server)
        self.nats = server
        self._tell("nats is up")
        return True

    def _start(self, worker: Worker) -> None:
        worker.started_at = time.monotonic()
        worker.restarts += 1
        environment = {**os.environ, "NCEN_HOME": str(self.settings.home)}
        with (self.settings.log / f"{worker.kind}.stderr").open("wb") as errors:
            worker.process = subprocess.Popen(  # noqa: S603  # our own program
                worker.command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                env=environment,
                start_new_session=True,
            )

    # Keeping up

    def _keep_up(self) -> None:
        while not self._stop.is_set():
            if self._has_changed.is_set():
                self._has_changed.clear()
                self.settings = load()
            self._look_after_servers()
            self._look_after_workers()
            self._write_state("ready")
            self._stop.wait(TICK_S)

    def _look_after_workers(self) -> None:
        now = time.monotonic()
        for worker in self.workers:
            if worker.is_alive:
                if now - worker.started_at > SETTLED_S:
                    worker.failures = 0
            elif worker.process is not None:
                ended = worker.process.returncode
                worker.process = None
                delay = min(0.25 * 2**worker.failures, SLOWEST_RESTART_S)
                worker.failures += 1
                worker.next_start_at = now + delay
                self._tell("worker ended", worker=worker.kind, exit=ended, restart_in_s=delay)
            elif now >= worker.next_start_at:
                self._start(worker)

    def _look_after_servers(self) -> None:
        """Start a server again that has died, and NATS when it has come to be wanted; failing, try again later."""
        if time.monotonic() < self._server_start_at:
            return
        try:
            for name, server in (("postgres", self.postgres), ("nats", self.nats)):
                if server is not None and server.pid is None:
                    self._tell("server ended; starting it", server=name)
                    server.start()
            if self._start_nats_if_wanted():
                self._renew("exchange")
            self._renew_logins()
            self._server_failures = 0
        except Unreachable as error:
            self._server_failures += 1
            delay = min(2.0**self._server_failures, SLOWEST_RESTART_S)
            self._server_start_at = time.monotonic() + delay
            self._tell("server did not start", error=str(error), retry_in_s=delay)

    def _renew_logins(self) -> None:
        """Let in who may log in under our newest card, also when the verb that replaced a key was killed."""
        from ledger import card_keys

        edition = card_keys.edition(self.settings.keys)
        if self.nats is not None and edition != self._edition:
            write_accounts(self.settings, self.nats)
            self._edition = edition
            self._tell("logins follow the new card")

    def _renew(self, kind: str) -> None:
        """Restart a worker that has to learn of something new."""
        for worker in self.workers:
            if worker.kind == kind and worker.process is not None:
                self._end(worker)
                self._start(worker)

    # Down

    def _bring_down(self) -> None:
        for worker in reversed(self.workers):
            self._end(worker)
        for server in (self.nats, self.postgres):
            if server is not None:
                with contextlib.suppress(Unreachable):
                    server.stop()

    def _end(self, worker: Worker) -> None:
        process = worker.process
        worker.process = None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            self._tell("worker did not stop; killing it", worker=worker.kind)
            process.kill()
            process.wait(20)

    # Telling

    def _tell(self, event: str, **facts: object) -> None:
        if self._log is not None:
            self._log.info(event, **facts)

    def _write_state(self, state: str, **more: object) -> None:
        """Write what stands, for `ncen up` and `ncen status`, when it has changed."""
        workers = {
            worker.kind: {"pid": worker.process.pid if worker.process else None, "restarts": worker.restarts}
            for worker in self.workers
        }
        text = msgspec.json.encode({"state": state, "pid": os.getpid(), "workers": workers, **more})
        if text != self._written:
            write_durably(self.settings.run / "state.json", text.decode())
            self._written = text


def main() -> int:
    """Run the supervisor of the home named by NCEN_HOME, detached from any terminal."""
    return int(Supervisor(load()).run())


if __name__ == "__main__":
    sys.exit(main())
