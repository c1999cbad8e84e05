"""The exporter to the CEN as a process of its own: what it does not hold it cannot tell.

It is given, on its standard input and never in its command line or environment, where the database is, who we are and
the key that signs; no key that opens anything. It ends when its input is closed, so that it never outlives its parent.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import msgspec
import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from domain import forms
from exchange import cen

ENDS_WITHIN_S = 10.0
PAUSE_S = 1.0

log = structlog.get_logger()


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """All that the process is given."""

    database_url: str
    node: str
    signing_key: Annotated[bytes, Meta(min_length=32, max_length=32)]

    def __repr__(self) -> str:
        return f"Given({self.node})"


def start(given: Given) -> "subprocess.Popen[bytes]":
    """Start the process; it runs until `end`, or until we are gone."""
    child = subprocess.Popen([sys.executable, "-m", "exchange.cen_process"], stdin=subprocess.PIPE)  # ourselves
    if child.stdin is not None:
        child.stdin.write(msgspec.json.encode(given) + b"\n")
        child.stdin.flush()
    return child


def end(child: "subprocess.Popen[bytes]") -> None:
    """Let the process end, or kill it when it does not."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main() -> None:
    """Tell the CEN until our input is closed."""
    given = forms.from_json(sys.stdin.buffer.readline(), Given)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for our parent, which lets us end
    key = Ed25519PrivateKey.from_private_bytes(given.signing_key)
    stop = threading.Event()
    threading.Thread(target=_watch, args=(sys.stdin.buffer.read, stop), daemon=True).start()
    while not stop.is_set():
        try:
            cen.tell(given.database_url, given.node, key, stop)
        except psycopg.Error as error:
            log.warning("exchange.interrupted", part="cen exporter", error=type(error).__name__)
            stop.wait(PAUSE_S)


def _watch(wait: Callable[[], bytes], stop: threading.Event) -> None:
    wait()
    stop.set()


if __name__ == "__main__":
    main()
