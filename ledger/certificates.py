"""Certificates of erasure: what was destroyed, when, by whom and on which grounds, signed by the node.

They lie in a file of the keys folder, a line each, appended and flushed before the keys go: it is the list by which an
erasure is done again after a restore, and so it must never be restored with the database. No certificate says who it
was: a subject is an opaque record id.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from domain import forms
from domain.attribution import Attribution
from domain.codes import NodeCode
from domain.rights import ErasureGrounds
from ledger import note
from ledger.keyring import Keyring
from ledger.whole_file import flush_folder

FILE = "erasures.log"
Kind: TypeAlias = Literal["person", "business"]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased: how many records and entries, the ids of the keys, and until when no copy can be opened."""

    certificate: Literal["ncen-erasure/1"]
    erasure_id: UUID
    node: NodeCode
    subject: UUID
    kind: Kind
    grounds: ErasureGrounds
    by: Attribution
    asked_at: datetime
    erased_at: datetime
    keys: tuple[UUID, ...]
    records: int
    entries: int
    epoch: int
    promised_by: datetime


def signed(certificate: Certificate, keyring: Keyring) -> str:
    """Return the certificate as a signed note: one line of JSON, and the node's signature below it."""
    signing_key = Keyring.open(keyring.folder).signing_key  # it may have been replaced since the keyring was opened
    return note.sign(f"{msgspec.json.encode(certificate).decode()}\n", certificate.node, signing_key)


def told(certificate: str) -> Certificate:
    """Return what a signed certificate says, without checking the signature.

    Raises:
        ValueError: it is not a certificate.
    """
    return forms.from_json(certificate.partition("\n")[0].encode(), Certificate)


def keep(keyring: Keyring, made: Sequence[Certificate]) -> list[str]:
    """Sign certificates and append them to the file; they are on disk when this returns."""
    notes = [signed(one, keyring) for one in made]
    path = keyring.folder / FILE
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "ab") as file:
        # A line that was torn by a crash must not swallow the next one.
        file.write("".join(f"\n{json.dumps(text)}\n" for text in notes).encode())
        file.flush()
        os.fsync(file.fileno())
    flush_folder(path.parent)  # also when the file was there: who made it may have been killed before this
    return notes


def read(keys: Path) -> list[Certificate]:
    """Return the certificates in a keys folder, each erasure once (the latest counts); a torn line is passed over."""
    path = keys / FILE
    found: dict[UUID, Certificate] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            certificate = told(forms.from_json(line, str))
        except ValueError:
            continue
        found[certificate.erasure_id] = certificate
    return list(found.values())
