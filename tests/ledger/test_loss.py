"""A loss that an administrator acknowledges: the ledger goes on, and what was signed before is told apart from it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import checkpoint, checkpoints, evidence, loss, node_keys
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Conflict, NotFound
from ledger.ledger import Ledger
from ledger.node_keys import Loss, NodeKeys, Why, fingerprint
from ledger.prover import Prover
from ledger.sessions import Session, connect
from ledger.verify_evidence import check
from tests.ledger.forging import forge_leaf
from tests.ledger.test_checkpoints import dump_and_restore, record

OpenProver = Callable[[], Prover]


@pytest.fixture
def opened(ledger: Ledger, keys: Path, tmp_path: Path) -> OpenProver:
    return lambda: Prover.open(keys, node=ledger.node, folder=tmp_path / "checkpoints")


def brought_back(database_url: str, ledger: Ledger, session: Session, opened: OpenProver, more: int) -> str:
    """Sign for 20 and for 26 entries, bring the ledger back as it was with 20, record more; the note that was lost."""
    record(ledger, session, 20)
    opened().look(session)
    copy = dump_and_restore(database_url, None)
    record(ledger, session, 6)
    opened().look(session)
    [lost] = [one.note for one in checkpoints.find(session, opened().keys, None).signed if one.size == 26]
    dump_and_restore(database_url, copy)
    with connect(database_url) as restored:
        record(ledger, restored, more)
    return lost


@pytest.mark.parametrize("more", [0, 3, 9])
def test_the_ledger_goes_on_from_what_is_left(  # noqa: PLR0917  # what a node is made of
    database_url: str, ledger: Ledger, session: Session, opened: OpenProver, keys: Path, tmp_path: Path, more: int
) -> None:
    lost = brought_back(database_url, ledger, session, opened, more)
    with connect(database_url) as restored:
        assert not opened().look(restored).is_sound, "the control: without acknowledgement it stays refused"
        told = loss.acknowledge(restored, opened(), keys, reason="restored after a failed disk", by="a.one")
        assert told.loss is not None
        assert (told.size, told.loss.size) == (20, 26)
        assert opened().look(restored).is_sound
        record(ledger, restored, 4)
        assert opened().look(restored).is_sound
        assert opened().look_at_all(restored).is_sound
        newest = checkpoints.find(restored, opened().keys, tmp_path / "checkpoints")
        assert newest.newest is not None
        assert newest.newest.size == 24 + more
        assert len(newest.lost) == 2, "what was signed last lies beside it: the newest and the day's"
        faults = restored.execute("SELECT what FROM ledger.fault").fetchall()
        assert any("was signed for up to position 26" in what or "26 the history" in what for (what,) in faults)
        [one] = loss.listed(restored, opened().keys)
        assert (one.size, one.kept_size, one.reason, one.by) == (26, 20, "restored after a failed disk", "a.one")
        with pytest.raises(NotFound):
            loss.acknowledge(restored, opened(), keys, reason="again", by="a.one")
        _require_evidence(restored, opened())
    with pytest.raises(NotCheckpoint):
        opened().keys.read(lost)


def _require_evidence(session: Session, prover: Prover) -> None:
    [row] = session.execute("SELECT record_id FROM ledger.sealed WHERE position = 3").fetchall()
    lines = evidence.lines_of(session, [row[0]])
    for signed in checkpoints.find(session, prover.keys, None).signed:
        raw = evidence.write(evidence.bundle(session, evidence.prove(session, lines, (signed,)), prover.keys))
        assert check(raw, {"ncen/NL": fingerprint(prover.keys.keys[-1].public_key)})
        assert "lost 26" in json.loads(raw)["successions"][0]


def test_a_second_loss_and_one_before_a_key_was_replaced(
    database_url: str, ledger: Ledger, session: Session, opened: OpenProver, keys: Path
) -> None:
    copies = []
    for _ in range(2):
        record(ledger, session, 5)
        opened().look(session)
        copies.append(dump_and_restore(database_url, None))
    prover = opened()
    from ledger.keyring import Keyring

    node_keys.replace(keys, prover.keys, Keyring.open(keys).signing_key, size=10, why=Why.ROTATED)
    record(ledger, session, 5)
    opened().look(session)
    for copy, kept in ((copies[1], 10), (copies[0], 5)):
        dump_and_restore(database_url, copy)
        with connect(database_url) as restored:
            assert not opened().look(restored).is_sound
            told = loss.acknowledge(restored, opened(), keys, reason="restored", by="a.one")
            assert told.size == kept
            record(ledger, restored, 8)
            assert opened().look(restored).is_sound
            assert opened().look_at_all(restored).is_sound
            assert len(loss.listed(restored, opened().keys)) == len(opened().keys.losses)


def test_what_no_loss_explains_is_not_acknowledged(
    database_url: str, ledger: Ledger, session: Session, opened: OpenProver, keys: Path
) -> None:
    brought_back(database_url, ledger, session, opened, 0)
    with connect(database_url) as restored:
        for table in ("entry", "sealed", "subtree"):
            restored.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
        forge_leaf(restored, 5)
        with pytest.raises(Conflict):
            loss.acknowledge(restored, opened(), keys, reason="hidden", by="a.one")


def test_only_what_was_signed_before_and_beyond_counts_as_lost() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = _chained(old, new)
    for size, root, by, is_lost in (
        (10, b"r" * 32, old, False),
        (11, b"x" * 32, old, True),
        (20, b"r" * 32, old, True),
        (20, b"x" * 32, old, False),
        (21, b"r" * 32, old, False),
        (11, b"x" * 32, new, False),
    ):
        signed = checkpoint.sign(Head("ncen/NL", size, root), by)
        assert keys.is_lost(signed) is is_lost, (size, root)
    assert keys.read(checkpoint.sign(Head("ncen/NL", 10, b"k" * 32), old)).size == 10
    with pytest.raises(NotCheckpoint):
        keys.read(checkpoint.sign(Head("ncen/NL", 11, b"x" * 32), old))
    [note] = keys.notes
    for before, after in (("lost 20", "lost 30"), ("because lost", "because rotated"), ("size 10", "size 9")):
        with pytest.raises(NotCheckpoint):
            node_keys.chain("ncen/NL", keys.keys[0].public_key, (note.replace(before, after),))


def _chained(old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> NodeKeys:
    from datetime import UTC, datetime

    from ledger import note

    told = node_keys.Succession(
        origin="ncen/NL",
        serial=1,
        old=old.public_key().public_bytes_raw(),
        new=new.public_key().public_bytes_raw(),
        size=10,
        at=datetime.now(UTC),
        why=Why.LOST,
        loss=Loss(kept_root=b"k" * 32, size=20, root=b"r" * 32),
    )
    signed = note.sign(told.text, "ncen/NL", old)
    signed += note.sign(told.text, "ncen/NL", new).removeprefix(f"{told.text}\n")
    return node_keys.chain("ncen/NL", told.old, (signed,))
