"""Key providers: the epoch's key opens only while the device or service keeps its own, whoever copied the files.

PKCS#11 is tried against SoftHSM2, and skipped loudly where it is not installed; the transit engine against a small HTTP
server that does what its documentation says, since no Vault can be had here.
"""

import base64
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger import epochs
from ledger.errors import NotFound, Unsafe
from ledger.key_provider import FILE, provider_of
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from tests.ledger.test_epochs import record, unreadable

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "2718-2818"


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A token of SoftHSM2; a module of PKCS#11 is set up once for a process."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed: keys in devices are NOT tried")
    if not SOFTHSM.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed: keys in devices are NOT tried")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    line = ["softhsm2-util", "--init-token", "--free", "--label", "ncen", "--so-pin", "3141-5926", "--pin", PIN]
    subprocess.run(line, check=True, capture_output=True)
    pin = folder / "pin"
    pin.write_text(PIN)
    pin.chmod(0o600)
    return {"provider": "pkcs11", "module": str(SOFTHSM), "token": "ncen", "pin_file": str(pin)}


class Transit(BaseHTTPRequestHandler):
    """The transit engine's endpoints for keys, encrypt and decrypt, with keys in memory."""

    keys: ClassVar[dict[str, bytes]]
    deletable: ClassVar[set[str]]
    token: ClassVar[str]

    def do_POST(self) -> None:  # http.server's
        length = int(self.headers.get("Content-Length", "0"))
        body: dict[str, Any] = json.loads(self.rfile.read(length) or b"{}")
        what, _, rest = self.path.removeprefix("/v1/transit/").partition("/")
        name, _, config = rest.partition("/")
        if self.headers["X-Vault-Token"] != self.token:
            self._answer(403)
        elif what == "keys" and config == "config":
            if name in self.keys:
                self.deletable.add(name)
            self._answer(204 if name in self.keys else 400)
        elif what == "keys":
            self.keys.setdefault(name, AESGCM.generate_key(256))
            self._answer(204)
        elif name not in self.keys:
            self._answer(400)
        elif what == "encrypt":
            nonce = secrets.token_bytes(12)
            sealed = nonce + AESGCM(self.keys[name]).encrypt(nonce, base64.b64decode(body["plaintext"]), None)
            self._answer(200, {"data": {"ciphertext": f"vault:v1:{base64.b64encode(sealed).decode()}"}})
        else:
            sealed = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            opened = AESGCM(self.keys[name]).decrypt(sealed[:12], sealed[12:], None)
            self._answer(200, {"data": {"plaintext": base64.b64encode(opened).decode()}})

    def do_DELETE(self) -> None:  # http.server's
        name = self.path.rpartition("/")[2]
        is_allowed = name in self.deletable
        if is_allowed:
            self.keys.pop(name)
        self._answer(204 if is_allowed else 400)

    def _answer(self, status: int, body: dict[str, Any] | None = None) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def transit(tmp_path: Path) -> Iterator[dict[str, str]]:
    class Own(Transit):
        keys: ClassVar[dict[str, bytes]] = {}
        deletable: ClassVar[set[str]] = set()
        token = "s.invented"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    token = tmp_path / "token"
    token.write_text("s.invented\n")
    token.chmod(0o600)
    yield {
        "provider": "transit",
        "url": f"http://127.0.0.1:{server.server_address[1]}",
        "token_file": str(token),
    }
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["softhsm", "transit"])
def choose(request: pytest.FixtureRequest, keys: Path) -> Callable[[], None]:
    """Have the keys folder use a provider."""
    told = request.getfixturevalue(request.param)

    def choose() -> None:
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / FILE).write_text(json.dumps(told))

    return choose


def test_a_node_begins_and_rotates_with_a_provider(choose: Callable[[], None], database_url: str, keys: Path) -> None:
    choose()
    with Ledger.open(database_url, node="NL", keys=keys) as ledger:
        ids = record(ledger, 10)
        assert [path.name for path in keys.glob("epoch-*")] == ["epoch-1.wrapped"]
        old = (keys / "epoch-1.wrapped").read_bytes()
        secret = Keyring.open(keys).epoch_key(1)
        assert secret not in old
        assert epochs.rotate(database_url, keys).destroyed == (1,)
        ids += record(ledger, 3)
    assert [path.name for path in keys.glob("epoch-*")] == ["epoch-2.wrapped"]
    assert unreadable(database_url, keys, ids) == 0
    (keys / "epoch-1.wrapped").write_bytes(old)  # from a copy of the keys folder, or an unerased block of the disk
    (keys / "epoch-1.wrapped").chmod(0o600)
    with pytest.raises(NotFound, match="destroyed"):
        Keyring.open(keys).epoch_key(1)
    provider_of(keys).destroy(old)  # once more harms nothing


def test_a_node_of_files_goes_over_to_a_provider_with_a_rotation(
    choose: Callable[[], None], ledger: Ledger, database_url: str, keys: Path
) -> None:
    ids = record(ledger, 5)
    choose()
    assert epochs.rotate(database_url, keys).destroyed == (1,)
    assert [path.name for path in keys.glob("epoch-*")] == ["epoch-2.wrapped"]
    assert unreadable(database_url, keys, ids) == 0


def test_without_a_provider_a_copy_of_the_file_opens(ledger: Ledger, database_url: str, keys: Path) -> None:
    """The control: a copied file is a copied key."""
    record(ledger)
    old = (keys / "epoch-1.key").read_bytes()
    epochs.rotate(database_url, keys)
    (keys / "epoch-1.key").write_bytes(old)
    (keys / "epoch-1.key").chmod(0o600)
    assert Keyring.open(keys).epoch_key(1) == old


def test_a_provider_that_does_not_answer_is_named(transit: dict[str, str], keys: Path) -> None:
    keys.mkdir(mode=0o700)
    (keys / FILE).write_text(json.dumps(transit | {"url": "http://127.0.0.1:1"}))
    with pytest.raises(Unsafe, match="does not answer"):
        Keyring.open(keys)
    Path(transit["token_file"]).chmod(0o644)
    with pytest.raises(Unsafe, match="Others may read"):
        Keyring.open(keys)
    (keys / FILE).write_text('{"provider": "none"}')
    with pytest.raises(Unsafe, match="does not say"):
        Keyring.open(keys)
    assert not list(keys.glob("epoch-*"))
