"""Keys of epochs wrapped by a service that speaks the transit engine of HashiCorp Vault, over HTTP.

Each epoch has a key of its own there, which the service never shows; the wrapped key is its name and the ciphertext, as
text. Answers are bounded, and errors name what was asked and the status, never what was sent.
"""

import base64
import http.client
import json
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

import msgspec

from domain import forms
from ledger.errors import NotFound, Unsafe
from ledger.key_provider import Transit, secret_in

TIMEOUT_S = 10
MOST_ANSWER_BYTES = 64 * 1024
_NAME = re.compile(r"^[a-z0-9-]{1,120}$(?!\n)")
GONE = frozenset({400, 404})


class _Data(msgspec.Struct, frozen=True):
    ciphertext: str = ""
    plaintext: str = ""


class _Answer(msgspec.Struct, frozen=True):
    data: _Data = _Data()


class InService:
    """Wraps by a service."""

    def __init__(self, told: Transit) -> None:
        """Use the service at this address."""
        self._told = told

    def wrap(self, epoch: int, secret: bytes) -> bytes:
        """Wrap under a new key of the service."""
        name = f"{self._told.prefix}-epoch-{epoch}-{secrets.token_hex(8)}"
        self._require("POST", f"keys/{name}", {"type": "aes256-gcm96", "exportable": False})
        answer = self._require("POST", f"encrypt/{name}", {"plaintext": base64.b64encode(secret).decode("ascii")})
        return f"{name} {answer.data.ciphertext}".encode("ascii")

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return what was wrapped; see `KeyProvider`."""
        name, _, sealed = wrapped.decode("ascii").partition(" ")
        status, answer = self._ask("POST", f"decrypt/{name}", {"ciphertext": sealed})
        if status in GONE:
            raise NotFound("The key service holds no key for this epoch: it was destroyed, or is another service.")
        return base64.b64decode(self._required(status, f"decrypt/{name}", answer).data.plaintext)

    def destroy(self, wrapped: bytes) -> None:
        """Allow the service's key to be deleted, and delete it."""
        name = wrapped.decode("ascii", "replace").partition(" ")[0]
        if not _NAME.match(name):
            return  # written over already, when its key was gone
        status, answer = self._ask("POST", f"keys/{name}/config", {"deletion_allowed": True})
        if status not in GONE:
            self._required(status, f"keys/{name}/config", answer)
            self._require("DELETE", f"keys/{name}", None)

    def _require(self, method: str, path: str, body: dict[str, Any] | None) -> _Answer:
        status, answer = self._ask(method, path, body)
        return self._required(status, path, answer)

    def _required(self, status: int, path: str, answer: bytes) -> _Answer:
        if not 200 <= status < 300:
            raise Unsafe(f"The key service at {self._told.url} answers {path} with {status}.")
        try:
            return forms.from_json(answer, _Answer) if answer else _Answer()
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unsafe(f"The key service at {self._told.url} answers {path} in a form that is not known.") from None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        parts = urlsplit(self._told.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=TIMEOUT_S)
        headers = {"X-Vault-Token": secret_in(self._told.token_file), "Content-Type": "application/json"}
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/v1/{self._told.mount}/{path}", body=text, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unsafe(f"The key service at {self._told.url} does not answer ({type(error).__name__}).") from None
        finally:
            connection.close()
