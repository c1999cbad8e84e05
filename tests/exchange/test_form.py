"""The forms on the wire are those of docs/reference/envelope.md, byte by byte, and stay so."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from domain.attribution import Purpose
from domain.handling import Handling, Onward
from domain.records import encode as encode_event
from domain.seizure import SeizureSubmitted
from exchange import box, checkpoint, envelope, outbox
from exchange.checkpoint import Checkpoint
from exchange.envelope import Core
from ledger.leaf import attribution_hash, header, leaf_bytes
from ledger.merkle import Frontier, inclusion_path, inclusion_proof, leaf_hash

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "envelope.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def example() -> Core:
    body = encode_event(SeizureSubmitted())
    record_id, at_us, name = UUID("019aa000-0000-7000-8000-000000000001"), 1_795_564_800_000_000, "seizure.submitted"
    head = header(record_id=record_id, version=2, recorded_at_us=at_us, node="XA", name=name, is_personal=False)
    withheld = attribution_hash(bytes(16), b"withheld")
    return Core(
        form="entry/1",
        origin="XA",
        recipient="XB",
        number=1,
        record_id=record_id,
        version=2,
        recorded_at_us=at_us,
        name=name,
        is_personal=False,
        body=body,
        attribution=None,
        attribution_salt=None,
        attribution_hash=withheld,
        leaf=leaf_hash(leaf_bytes(head, body, withheld)),
        instrument="MAA:XA-XB",
        premise_id=UUID("019aa000-0000-7000-8000-0000000000aa"),
        premise_version=4,
        handling=Handling.H1,
        onward=Onward.NONE,
        retention_days=1_825,
        purposes=(Purpose.DETECTION, Purpose.INVESTIGATION),
        evaluation="A1",
        key_hash=None,
    )


def test_the_example_on_the_page_is_what_travels() -> None:
    core_hex, root_hex, signed = re.findall(r"```text\n(.*?)```", PAGE.read_text().split("## Example")[1], re.DOTALL)
    raw = envelope.encode(example())
    assert raw.hex() == core_hex.replace("\n", "")
    assert leaf_hash(raw).hex() == root_hex.strip()
    head = Checkpoint(origin="XA", recipient="XB", size=1, root=leaf_hash(raw))
    assert checkpoint.sign(head, KEY) == signed
    assert example().computed_leaf == example().leaf


def test_the_table_on_the_page_names_every_field_in_order() -> None:
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", PAGE.read_text().split("## Core of a notice")[0], re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(Core.__struct_fields__)))
    told = [name.replace(" ", "_") for _, name in rows]
    ours = [name.removesuffix("_us").removesuffix("_days").removeprefix("is_") for name in Core.__struct_fields__]
    assert told == ours


def test_a_boxed_key_opens_for_its_recipient_and_its_entry_only() -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    ours, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    boxed = box.box(bytes(range(32)), ours.public_key(), recipient="XB", header=b"header")
    assert len(boxed) == 80
    assert box.unbox(boxed, ours, recipient="XB", header=b"header") == bytes(range(32))
    assert box.unbox(boxed, other, recipient="XB", header=b"header") is None
    assert box.unbox(boxed, ours, recipient="XC", header=b"header") is None
    assert box.unbox(boxed, ours, recipient="XB", header=b"another") is None
    assert box.unbox(b"", ours, recipient="XB", header=b"header") is None


def test_a_receipt_is_the_checkpoint_with_a_cosignature() -> None:
    from datetime import UTC, datetime

    import pytest

    theirs = Ed25519PrivateKey.generate()
    head = Checkpoint(origin="XA", recipient="XB", size=3, root=bytes(32))
    at = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    receipt = checkpoint.cosign(checkpoint.sign(head, KEY), "XB", theirs, at)
    keys: dict[str, Any] = {"origin_key": KEY.public_key(), "recipient_key": theirs.public_key()}
    assert checkpoint.read_receipt(receipt, origin="XA", recipient="XB", **keys) == (head, at)
    strangers: dict[str, Any] = {"origin_key": KEY.public_key(), "recipient_key": KEY.public_key()}
    for other in (receipt.replace("\n3\n", "\n4\n"), checkpoint.sign(head, KEY), receipt[:-3]):
        with pytest.raises(envelope.Malformed):
            checkpoint.read_receipt(other, origin="XA", recipient="XB", **keys)
    with pytest.raises(envelope.Malformed):
        checkpoint.read_receipt(receipt, origin="XA", recipient="XB", **strangers)


@given(st.integers(0, 70), st.integers(1, 40))
def test_proofs_of_new_lines_follow_from_the_frontier_and_the_batch_alone(old: int, new: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(old + new)]
    frontier = Frontier.of(leaves[:old])
    subtree = outbox._subtrees(frontier, leaves[old:])
    for index in range(old, old + new):
        assert inclusion_path(subtree, index, old + new) == inclusion_proof(leaves, index)
