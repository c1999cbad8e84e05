"""Certificates: how the links between nodes are encrypted, so that nobody on the way sees who tells whom how much.

With `tls_cert`, `tls_key` and `tls_ca` set, our NATS asks every peer for a certificate of that authority and shows
ours, and we do the same with peers; without them links are plain, and only what lies in the envelopes is sealed. Files
are read anew at each start; the server, which may run as another user, gets copies of its own.
"""

import ssl
from typing import TYPE_CHECKING

from cli.output import BadInput
from cli.settings import Settings
from ledger import given_file

if TYPE_CHECKING:
    from cli.nats_server import EmbeddedNats
    from exchange.accounts import Tls

MOST_PEM_BYTES = 1024 * 1024
SETTINGS = ("tls_cert", "tls_key", "tls_ca")


def is_encrypted(settings: Settings) -> bool:
    """Whether links are encrypted.

    Raises:
        BadInput: some of the three settings are there and some are not.
    """
    missing = [name for name in SETTINGS if getattr(settings, name) is None]
    if 0 < len(missing) < len(SETTINGS):
        raise BadInput(f"Links are encrypted with all of {', '.join(SETTINGS)}: set {' and '.join(missing)} too.")
    return not missing


def given_to(server: "EmbeddedNats", settings: Settings) -> "Tls | None":
    """What our NATS is told of TLS, with copies of the files that it can read; None where links are plain.

    Raises:
        BadInput: a file cannot be read, or certificate and key do not belong together.
    """
    from exchange.accounts import Tls

    if not is_encrypted(settings):
        return None
    of_links(settings)
    cert, key, ca = (server.keep_file(name, _text(settings, name)) for name in SETTINGS)
    return Tls(cert_file=cert, key_file=key, ca_file=ca)


def of_links(settings: Settings) -> ssl.SSLContext | None:
    """How we speak to peers: TLS 1.3, with our certificate, and theirs checked for its authority and its name."""
    if not is_encrypted(settings):
        return None
    try:
        ca, *_ = (_text(settings, name) for name in ("tls_ca", "tls_cert", "tls_key"))
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=ca or "\n")  # never the system's own
        context.load_cert_chain(str(settings.tls_cert), str(settings.tls_key), password=_refuse_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError; its text names no contents
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise BadInput(
            f"The certificates of this node cannot be used ({reason}): "
            "tls_cert and tls_key are PEM files that belong together, tls_ca holds the authority's certificate."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def of_own_server(settings: Settings) -> ssl.SSLContext | None:
    """How we speak to our own server on this machine, whose certificate bears the name that peers know it by."""
    context = of_links(settings)
    if context is not None:
        context.check_hostname = False
    return context


def _text(settings: Settings, name: str) -> str:
    path = getattr(settings, name)
    try:
        return given_file.read(path, MOST_PEM_BYTES).decode("ascii")
    except given_file.Unusable as error:
        raise BadInput(f"{name}: {path}: {error}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{name}: {path} cannot be read as a PEM file.") from None


def _refuse_password() -> str:
    """Refuse a key that asks for a password: a node starts with nobody there to type it."""
    raise ValueError("the key is encrypted")
