"""The leaf, the attribution, the sealed body and the wrapped key: byte by byte as docs/reference/leaf.md tells them."""

import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from domain.attribution import Attribution, Purpose, Role
from ledger import attributed, leaf, vault
from ledger.clock import from_us, to_us

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "leaf.md"


def _vector() -> dict[str, bytes]:
    """Read the worked example of the page: lines `name = hex`, in a block."""
    block = PAGE.read_text(encoding="utf-8").split("```vector\n")[1].split("```")[0]
    pairs = re.findall(r"^([a-z_ ]+?) *= ((?:[0-9a-f]+[ \n]*)+)$", block, re.MULTILINE)
    return {name: bytes.fromhex(value) for name, value in pairs}


def test_worked_example_of_the_page_holds() -> None:
    vector = _vector()
    recorded_at = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
    record_id = UUID("018f0000-0000-7000-8000-000000000001")
    by = Attribution(actor="officer.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="UCC:46")
    header = leaf.header(
        record_id=record_id,
        version=2,
        recorded_at_us=to_us(recorded_at),
        node="NL",
        name="seizure.narrative-written",
        is_personal=True,
    )
    assert header == vector["header"]
    assert attributed.encode(by, UUID("018f0000-0000-7000-8000-0000000000c1")) == vector["attribution"]
    part = leaf.attribution_hash(vector["salt"], vector["attribution"])
    assert part == vector["attribution hash"]
    assert sha256(vector["body"]).digest() == vector["body hash"]
    whole = leaf.leaf_bytes(header, vector["body"], part)
    assert whole == vector["leaf"]
    assert leaf.leaf_hash(whole) == vector["leaf hash"]
    key = vault.HeldKey(UUID(int=1), vector["subject key"], is_of_entry=False)
    assert vault.entry_key_of(key, vector["body"]) == vector["entry key"]
    assert vault.open_with_entry_key(vector["entry key"], header, vector["body"]) == vector["event"]


def test_moments_are_exact_to_the_microsecond() -> None:
    for microseconds in (0, 1, 1_714_566_615_123_456, 253_402_300_799_999_999, -1):
        assert to_us(from_us(microseconds)) == microseconds


def test_header_tells_every_field_apart() -> None:
    fields = {
        "record_id": UUID(int=1),
        "version": 1,
        "recorded_at_us": 1,
        "node": "NL",
        "name": "seizure.recorded",
        "is_personal": False,
    }
    others = {
        "record_id": UUID(int=2),
        "version": 2,
        "recorded_at_us": 2,
        "node": "NLS",
        "name": "eizure.recorded",
        "is_personal": True,
    }
    headers = {leaf.header(**fields)}  # type: ignore[arg-type]  # by name
    for name, other in others.items():
        headers.add(leaf.header(**{**fields, name: other}))  # type: ignore[arg-type]  # by name
    headers.add(leaf.header(**{**fields, "node": "NLS", "name": "eizure.recorded"}))  # type: ignore[arg-type]  # by name
    assert len(headers) == 8


def test_attribution_is_read_back_and_nothing_else_is() -> None:
    by = Attribution(actor="officer.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="UCC:46")
    command_id = UUID(int=7)
    stored = attributed.encode(by, command_id)
    assert attributed.decode(stored) == (by, command_id)
    assert attributed.decode(attributed.encode(by, None)) == (by, None)
    for broken in (b"", stored[:16], b"\x02" + stored[1:], stored[:-1], stored + b"\x00"):
        with pytest.raises(ValueError):  # noqa: PT011  # also msgspec's, which has many words
            attributed.decode(broken)
