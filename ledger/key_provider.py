"""Where the keys of epochs are kept: as they are in a file, or wrapped by a device or service that never shows its own.

A provider wraps the key of an epoch under a key of its own, made for that epoch alone. The wrapped key lies in the keys
folder; when the provider's key is destroyed, no copy of that file opens any more, wherever it was copied and on
whatever disk. Which provider a node uses stands in `provider.json` in its keys folder; without that file, none.
"""

from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from domain import forms
from ledger.errors import Unsafe

FILE = "provider.json"
FilePath = Annotated[str, Meta(min_length=1, max_length=1_000)]


class KeyProvider(Protocol):
    """Wraps keys under a key of its own for each epoch."""

    def wrap(self, epoch: int, secret: bytes) -> bytes:
        """Wrap the key of an epoch under a new key of the provider's, which the result names."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return what was wrapped.

        Raises:
            NotFound: the provider's key was destroyed.
            Unsafe: the provider does not answer as it should.
        """
        ...

    def destroy(self, wrapped: bytes) -> None:
        """Destroy the provider's key; nothing happens when it is gone already."""
        ...


class InFiles:
    """No provider: the key lies in its file as it is."""

    def wrap(self, _epoch: int, secret: bytes) -> bytes:
        """Return the key."""
        return secret

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key."""
        return wrapped

    def destroy(self, wrapped: bytes) -> None:
        """Do nothing: the file is overwritten and unlinked."""


class Pkcs11(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pkcs11", tag_field="provider"):
    """A device with a PKCS#11 module (an HSM, a smart card, SoftHSM); the PIN lies in a file of its own."""

    module: FilePath
    token: FilePath
    pin_file: FilePath


class Transit(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="transit", tag_field="provider"
):
    """A service that speaks the transit engine of HashiCorp Vault; its token lies in a file of its own."""

    url: Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.\[\]:-]{1,255}$")]
    token_file: FilePath
    mount: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "transit"
    prefix: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "ncen"


def provider_of(folder: Path) -> KeyProvider:
    """Return the provider that a keys folder names.

    Raises:
        Unsafe: `provider.json` is not what it should be, or what it names is not there.
    """
    path = folder / FILE
    if not path.exists():
        return InFiles()
    try:
        told = forms.from_json(path.read_bytes(), Pkcs11 | Transit)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unsafe(f"{path} does not say which provider keeps the keys of epochs (docs/howto/erase.md).") from None
    if isinstance(told, Pkcs11):
        from ledger.key_provider_pkcs11 import InDevice

        return InDevice(told)
    from ledger.key_provider_transit import InService

    return InService(told)


def secret_in(path: str) -> str:
    """Return a PIN or token from its file.

    Raises:
        Unsafe: it is not there, or others can read it.
    """
    file = Path(path)
    if not file.is_file():
        raise Unsafe(f"{file} is not there: it should hold what opens the key provider.")
    if file.stat().st_mode & 0o077:
        raise Unsafe(f"Others may read {file}: give it to its owner alone (chmod 600), and think of it as known.")
    return file.read_text(encoding="utf-8").strip()
