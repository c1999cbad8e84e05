"""The verbs that start, stop and do the node's work: `up`, `down`, `work`.

They keep these rules: `up` returns when the node answers or says in a sentence why it does not; `down` returns when all
has stopped; both may be said again and again, and at the same time.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Literal

from cli.certificates import of_links
from cli.output import ExitCode, Failure, Unreachable, code_of, say, sentence_of, show
from cli.processes import end, held, keep, locked, until
from cli.settings import NAMELESS, Settings, load
from cli.status import tell
from cli.supervisor import (
    Supervisor,
    ask_for_nats,
    database_url,
    nats_of,
    nats_url,
    postgres_of,
    running,
    state_of,
    stop_leftovers,
    wants_nats,
    worker_pid_file,
)

OPEN = (
    "This node is open: who may read its home acts as --as says. To close it for good, make its first administrator: "
    "ncen user add USER --role administrator"
)
UP_WAIT_S = 420.0  # longer than a PostgreSQL may take to recover
DOWN_WAIT_S = 180.0

Kind = Literal["seal", "prove", "project", "exchange", "follow"]


def up(  # noqa: PLR0913  # the flags of one verb
    *,
    node: str | None = None,
    role: Literal["nation", "cen"] | None = None,
    nats: Literal["auto", "always", "never"] | None = None,
    nats_listen: str | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_ca: Path | None = None,
    foreground: bool = False,
) -> ExitCode:
    """Start this node, or what of it does not run: PostgreSQL, NATS when it has a peer, and the workers.

    Args:
        node: The node's name, given once: two capital letters and what tells it apart (FR, DE-NORTH).
        role: What the node is: a nation's, or the CEN's collector; given once.
        nats: Whether the node runs NATS: from its first peer on (auto), always or never.
        nats_listen: Where its NATS listens for peers, as in 0.0.0.0:4222; port 0 is any that is free.
        tls_cert: Our certificate (PEM), when links to peers are to be encrypted.
        tls_key: Its private key.
        tls_ca: The authority whose certificates the nodes of the network bear.
        foreground: Stay, and log to stderr, until asked to stop (for systemd).
    """
    paths = {
        name: None if path is None else str(path.expanduser().absolute())
        for name, path in (("tls_cert", tls_cert), ("tls_key", tls_key), ("tls_ca", tls_ca))
    }
    given = load(node=node, role=role, nats=nats, nats_listen=nats_listen, **paths)
    of_links(given)  # refused before anything is written or started
    is_first = not given.file.exists()
    settings = given.named(node=given.node, role=given.role, nats=nats, nats_listen=nats_listen, **paths)
    settings.make_folders()
    if settings.node == NAMELESS:
        say("This node was not given a name (--node FR) and is called XX, for trying out alone.")
    if is_first:
        say(OPEN)
    if foreground:
        return Supervisor(settings).run(is_seen=True)
    with locked(settings.run / "up.lock", wait_s=UP_WAIT_S):
        _start_detached(settings)
        if wants_nats(settings):
            ask_for_nats(settings)
    return tell(settings)


def _start_detached(settings: Settings) -> None:
    """Start the supervisor unless one runs, and wait until the node is up; raise what it failed of."""
    child = None
    if running(settings) is None:
        (settings.run / "state.json").unlink(missing_ok=True)
        with (settings.log / "supervisor.stderr").open("wb") as errors:
            child = keep(
                subprocess.Popen(
                    [sys.executable, "-m", "cli.supervisor"],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    cwd="/",
                    env={**os.environ, "NCEN_HOME": str(settings.home)},
                    start_new_session=True,
                )
            )

    def is_settled() -> bool:
        has_ended = child.poll() is not None if child is not None else running(settings) is None
        return has_ended or state_of(settings).get("state") in {"ready", "failed"}

    is_in_time = until(is_settled, wait_s=UP_WAIT_S)
    state = state_of(settings)
    if state.get("state") == "failed":
        raise _Failed(ExitCode(state.get("code", ExitCode.UNREACHABLE)), str(state.get("message")))
    if state.get("state") != "ready":
        why = "ended while starting" if is_in_time else f"did not get the node up in {UP_WAIT_S:.0f} seconds"
        raise Unreachable(f"The supervisor {why}; the files in {settings.log} tell why.")


class _Failed(Failure):
    """The supervisor has said why it failed; its exit code is passed on, except a fault of ours in its own process."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = ExitCode.UNREACHABLE if code is ExitCode.REFUSED else code


def down() -> None:
    """Stop this node: its workers, its NATS, its PostgreSQL. What was recorded stays."""
    settings = load()
    if not settings.home.is_dir():
        show({"stopped": False}, f"There is no node in {settings.home}.")
        return
    settings.make_folders()
    with locked(settings.run / "up.lock", wait_s=UP_WAIT_S):
        supervisor = running(settings)
        if supervisor is not None:
            end(supervisor, wait_s=DOWN_WAIT_S)
        was_left = stop_leftovers(settings)
        for server in (nats_of(settings), postgres_of(settings)):
            if server is not None and server.pid is not None:
                was_left.append("server")
                server.stop()
    is_stopped = supervisor is not None or bool(was_left)
    show({"stopped": is_stopped}, "The node is down." if is_stopped else "The node was not running.")


def _entry(kind: Kind, settings: Settings) -> Callable[[threading.Event], None]:
    """Return the worker's code, ready to run until its event is set."""
    url = database_url(settings)
    if kind == "seal":
        from ledger import sealer

        return lambda stop: sealer.run(url, stop=stop)
    if kind == "prove":
        from ledger import prover

        return lambda stop: prover.run(
            url, node=settings.node, keys=settings.keys, folder=settings.checkpoints, stop=stop
        )
    if kind == "project":
        from projections import projector

        return lambda stop: projector.run(url, keys=settings.keys, stop=stop)
    if kind == "follow":
        from access import following

        return lambda stop: following.run(
            url, node=settings.node, keys=settings.keys, folder=settings.checkpoints, stop=stop
        )
    from cli import certificates
    from exchange import worker

    nats = nats_url(settings)
    tls, own_tls = certificates.of_links(settings), certificates.of_own_server(settings)
    return lambda stop: worker.run(
        url,
        node=settings.node,
        role=settings.role,
        keys=settings.keys,
        nats_url=nats,
        stop=stop,
        tls=tls,
        own_tls=own_tls,
        checkpoints=settings.checkpoints,
    )


def work(kind: Kind) -> ExitCode:
    """Do one part of the node's work until asked to stop: seal, prove, project, exchange, follow; `ncen up` starts all.

    Args:
        kind: Which part; `follow` keeps the processing log of a closed node.
    """
    from cli.log import open_log

    settings = load()
    settings.make_folders()
    stop = threading.Event()

    def on_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    log = open_log(settings.log / f"{kind}.log", also_stderr=sys.stderr.isatty())
    try:
        run = _entry(kind, settings)
        with held(worker_pid_file(settings, kind)):
            log.info("worker starts", worker=kind)
            run(stop)
            log.info("worker ends", worker=kind)
    except Exception as error:
        code = code_of(error)
        log.error("worker failed", worker=kind, error=type(error).__name__, reason=sentence_of(error, code))  # noqa: TRY400  # a traceback quotes values
        raise
    return ExitCode.DONE
