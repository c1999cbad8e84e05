"""Evidence: a bundle that proves entries to somebody who has nothing else of the node, and is checked elsewhere.

A bundle holds the stored bytes of entries, their inclusion proofs in one signed checkpoint, its cosignatures, and
public keys. Personal bodies stay sealed unless they are asked for: then the key of that entry alone goes with them, and
what was erased cannot be opened. `verify_evidence.py` checks a bundle, and everything in it is checked.
"""

import base64
from collections.abc import Sequence
from importlib.resources import files
from uuid import UUID

import msgspec

from ledger import checkpoints
from ledger.checkpoint import Head
from ledger.checkpoints import Cosignature, Signed
from ledger.errors import NotFound
from ledger.line import STORED_COLUMNS, StoredLine, stored_line
from ledger.merkle import verify_inclusion
from ledger.node_keys import NodeKeys
from ledger.sessions import Session
from ledger.tree import Tree
from ledger.vault import Vault
from ledger.verify_evidence import MOST_BYTES, MOST_ENTRIES

FORMAT = "ncen-evidence/1"

_LINES = f"""
    SELECT {STORED_COLUMNS} FROM ledger.sealed s
    JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version
    WHERE s.record_id = ANY(%s) ORDER BY s.position LIMIT {MOST_ENTRIES + 1}
"""  # noqa: S608  # our own columns
_COSIGNED = "SELECT DISTINCT size FROM ledger.cosignature WHERE size >= %s ORDER BY size DESC LIMIT 100"


class Proof(msgspec.Struct, frozen=True):
    """That an entry stands in the tree of a checkpoint."""

    line: StoredLine
    hashes: tuple[bytes, ...]


class Proven(msgspec.Struct, frozen=True):
    """Entries, each proven in one checkpoint, and who has cosigned it."""

    head: Head
    note: str
    cosignatures: tuple[Cosignature, ...]
    proofs: tuple[Proof, ...]


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry in a bundle; bytes are base64. Docs: reference/evidence.md."""

    position: int
    header: bytes
    proof: tuple[bytes, ...]
    body: bytes | None = None
    attribution: bytes | None = None
    attribution_salt: bytes | None = None
    attribution_hash: bytes | None = None
    body_hash: bytes | None = None
    entry_key: bytes | None = None


class Bundle(msgspec.Struct, frozen=True):
    """A bundle of evidence. Docs: reference/evidence.md."""

    format: str
    checkpoint: str
    key: bytes
    successions: tuple[str, ...]
    witnesses: dict[str, bytes]
    entries: tuple[Shown, ...]


def lines_of(connection: Session, record_ids: Sequence[UUID]) -> list[StoredLine]:
    """Return the sealed entries of records, by position.

    Raises:
        NotFound: a record has none, or together they have too many for one bundle.
    """
    rows = connection.cursor(binary=True).execute(_LINES, [list(record_ids)]).fetchall()
    lines = [stored_line(row) for row in rows]
    missing = set(record_ids) - {line.record_id for line in lines}
    if missing:
        raise NotFound(f"The record {min(missing)} has no sealed entry.")
    if len(lines) > MOST_ENTRIES:
        raise NotFound(f"Together these records have more than {MOST_ENTRIES} entries: ask for fewer at once.")
    return lines


def prove(connection: Session, lines: Sequence[StoredLine], signed: Sequence[Signed]) -> Proven:
    """Prove entries in one checkpoint: the newest that was cosigned and covers them, else the newest.

    Every proof is checked before it is given out.

    Raises:
        NotFound: no checkpoint covers them yet.
        Damaged, NotFound: the tree does not come to the root that was signed.
    """
    last = max(line.position for line in lines)
    covering = {one.size: one for one in signed if one.size >= last}
    if not covering:
        raise NotFound(f"No checkpoint has been signed yet that covers position {last}.")
    cosigned = [size for (size,) in connection.execute(_COSIGNED, [last]).fetchall() if size in covering]
    chosen = covering[cosigned[0] if cosigned else max(covering)]
    note, held = checkpoints.with_cosignatures(chosen.note, checkpoints.cosignatures(connection, chosen.size))
    tree = Tree(connection)
    proofs = []
    for line in lines:
        hashes = tree.prove_inclusion(line.position, chosen.size)
        if not verify_inclusion(line.leaf, line.position - 1, chosen.size, hashes, chosen.head.root):
            raise NotFound(f"The entry at position {line.position} cannot be proven: `ncen fsck` tells what is wrong.")
        proofs.append(Proof(line, tuple(hashes)))
    return Proven(chosen.head, note, tuple(held), tuple(proofs))


def bundle(  # noqa: PLR0913  # each says one thing about the bundle
    connection: Session,
    proven: Proven,
    keys: NodeKeys,
    *,
    vault: Vault | None = None,
    opens: frozenset[int] | None = None,
    with_attribution: bool = True,
) -> Bundle:
    """Put proven entries into a bundle; with a `vault`, personal bodies can be opened by who reads it.

    `opens` are the positions of the entries that may be opened; None for all of them.
    """

    def vault_for(proof: Proof) -> Vault | None:
        return vault if opens is None or proof.line.position in opens else None

    return Bundle(
        format=FORMAT,
        checkpoint=proven.note,
        key=keys.keys[0].public_key,
        successions=keys.notes,
        witnesses={one.witness: one.public_key for one in proven.cosignatures},
        entries=tuple(
            _shown(connection, one, vault_for(one), with_attribution=with_attribution) for one in proven.proofs
        ),
    )


def _shown(connection: Session, proof: Proof, vault: Vault | None, *, with_attribution: bool) -> Shown:
    line = proof.line
    secret = None
    if vault is not None and line.is_personal:
        secret = vault.entry_key(connection, line.key_id, line.body)
    shows = with_attribution and line.attribution is not None
    return Shown(
        position=line.position,
        header=line.header,
        proof=proof.hashes,
        body=line.body,
        attribution=line.attribution if shows else None,
        attribution_salt=line.attribution_salt if shows else None,
        attribution_hash=None if shows else line.attribution_hash,
        entry_key=secret,
    )


def write(told: Bundle) -> bytes:
    """Return a bundle as the file that it travels as.

    Raises:
        NotFound: it would be larger than what checks bundles reads.
    """
    raw = msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    if len(raw) > MOST_BYTES:
        raise NotFound(f"Together these records come to more than {MOST_BYTES >> 20} MB: ask for fewer at once.")
    return raw


def verifier() -> str:
    """Return the program that checks a bundle: one file, which needs nothing of ncen."""
    return (files("ledger") / "verify_evidence.py").read_text(encoding="utf-8")


def base64_of(raw: bytes) -> str:
    """Return bytes as they are written in a bundle."""
    return base64.b64encode(raw).decode()
