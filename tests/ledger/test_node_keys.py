"""Keys that follow upon each other: old checkpoints stay verifiable, and a key that was replaced signs nothing more."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import card_keys, checkpoint, checkpoints, evidence, node_keys, note
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Unsafe
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from ledger.node_keys import NodeKeys, Why, fingerprint
from ledger.prover import Prover
from ledger.sessions import Session
from ledger.verify_evidence import Refuted, check
from tests.ledger.test_checkpoints import record, sizes


def replaced(keys: Path, size: int, why: Why = Why.ROTATED) -> NodeKeys:
    keyring = Keyring.open(keys)
    known = node_keys.known(keys, "NL", keyring.signing_key.public_key())
    return node_keys.replace(keys, known, keyring.signing_key, size=size, why=why)


def prover(keys: Path, folder: Path) -> Prover:
    return Prover.open(keys, node="NL", folder=folder)


def test_old_checkpoints_stay_verifiable(ledger: Ledger, session: Session, keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for serial, size in enumerate((10, 20, 30), start=1):
        record(ledger, session, 10)
        assert prover(keys, folder).look(session).is_sound
        known = replaced(keys, size, Why.REVOKED if serial == 2 else Why.ROTATED)
        assert len(known.keys) == serial + 1
    record(ledger, session, 10)
    last = prover(keys, folder)
    assert last.look(session).is_sound
    assert last.look_at_all(session).is_sound
    assert sizes(session) == [10, 20, 30, 40]
    assert [(key.after, key.until, key.why) for key in last.keys.keys] == [
        (-1, 10, Why.ROTATED),
        (10, 20, Why.REVOKED),
        (20, 30, Why.ROTATED),
        (30, None, None),
    ]
    names = sorted(path.name for path in keys.glob("*ledger*"))
    assert names == ["ledger-3.key"], "a key that was replaced is destroyed"
    assert (keys / "ledger-3.key").stat().st_mode & 0o077 == 0


def test_key_that_was_replaced_signs_nothing_more(ledger: Ledger, session: Session, keys: Path, tmp_path: Path) -> None:
    record(ledger, session, 10)
    stolen = Keyring.open(keys).signing_key
    prover(keys, tmp_path / "c").look(session)
    known = replaced(keys, 10, Why.REVOKED)
    for size, is_good in ((9, True), (10, True), (11, False)):
        signed = checkpoint.sign(Head("ncen/NL", size, bytes(32)), stolen)
        if is_good:
            assert known.read(signed).size == size
        else:
            with pytest.raises(NotCheckpoint):
                known.read(signed)
    record(ledger, session, 5)
    newest = prover(keys, tmp_path / "c")
    assert newest.look(session).is_sound
    forged = checkpoint.sign(Head("ncen/NL", 15, bytes(32)), stolen)
    key_id = note.key_id("ncen/NL", note.SIGNATURE, stolen.public_key())
    session.execute("INSERT INTO ledger.checkpoint (size, key_id, note) VALUES (15, %s, %s)", [key_id, forged])
    assert any("does not hold" in fault.what for fault in newest.look_at_all(session).faults)


def test_broken_chains_are_refused(keys: Path) -> None:
    identity = Keyring.open(keys).signing_key
    first = replaced(keys, 5)
    second = replaced(keys, 9)
    one, two = second.notes
    root = identity.public_key().public_bytes_raw()
    stranger = Ed25519PrivateKey.generate()
    told = node_keys.read_succession(one, root)
    alone = note.sign(told.text, "ncen/NL", identity)
    assert node_keys.chain("ncen/NL", root, (one, two)) == second
    for notes in (
        (two,),
        (two, one),
        (one, one),
        (one, two.replace("\nsize 9\n", "\nsize 8\n")),
        (one, two.replace("because rotated", "because revoked")),
        (alone,),
        (note.sign(told.text, "ncen/NL", stranger),),
        ("",),
    ):
        with pytest.raises(NotCheckpoint):
            node_keys.chain("ncen/NL", root, notes)
    with pytest.raises(NotCheckpoint):
        node_keys.chain("ncen/BE", root, (one,))
    with pytest.raises(NotCheckpoint):
        node_keys.chain("ncen/NL", stranger.public_key().public_bytes_raw(), (one,))
    assert first.keys[-1].public_key == told.new


def test_missing_or_foreign_key_is_told(keys: Path, tmp_path: Path) -> None:
    Keyring.open(keys)
    replaced(keys, 5)
    path = keys / "ledger-1.key"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(Unsafe, match="missing: restore it"):
        prover(keys, tmp_path)
    path.write_bytes(bytes(32))
    with pytest.raises(Unsafe, match="not the key"):
        prover(keys, tmp_path)
    path.write_bytes(kept)
    (keys / "succession-1.note").write_text("nonsense")
    with pytest.raises(Unsafe, match="do not hold"):
        prover(keys, tmp_path)


def test_bundles_are_proven_by_the_key_that_counts(
    ledger: Ledger, session: Session, keys: Path, tmp_path: Path
) -> None:
    record(ledger, session, 10)
    prover(keys, tmp_path / "c").look(session)
    replaced(keys, 10)
    record(ledger, session, 1)
    newest = prover(keys, tmp_path / "c")
    newest.look(session)
    [row] = session.execute("SELECT record_id FROM ledger.sealed WHERE position = 3").fetchall()
    lines = evidence.lines_of(session, [row[0]])
    for signed in checkpoints.find(session, newest.keys, None).signed:
        raw = evidence.write(evidence.bundle(session, evidence.prove(session, lines, (signed,)), newest.keys))
        for key in newest.keys.keys:
            assert check(raw, {"ncen/NL": fingerprint(key.public_key)})
        told = json.loads(raw)
        for bad in (
            told | {"successions": [told["successions"][0].replace("size 10", "size 12")]},
            told | {"successions": []} if signed.size > 10 else told | {"successions": told["successions"] * 2},
            told | {"key": base64.b64encode(newest.keys.keys[1].public_key).decode()},
        ):
            with pytest.raises(Refuted):
                check(json.dumps(bad).encode(), {})


def test_bundles_begin_with_the_first_identity_also_when_it_was_replaced(
    ledger: Ledger, session: Session, keys: Path, tmp_path: Path
) -> None:
    record(ledger, session, 10)
    prover(keys, tmp_path / "c").look(session)
    first = Keyring.open(keys)
    replaced(keys, 10)
    card = card_keys.begin("NL", first.signing_key, first.box_key)
    card_keys.replace(keys, card, card_keys.Kind.IDENTITY, first.signing_key, card_keys.Why.REVOKED)
    record(ledger, session, 1)
    newest = prover(keys, tmp_path / "c")
    assert newest.look(session).is_sound
    assert newest.look_at_all(session).is_sound
    [row] = session.execute("SELECT record_id FROM ledger.sealed WHERE position = 3").fetchall()
    lines = evidence.lines_of(session, [row[0]])
    for signed in checkpoints.find(session, newest.keys, None).signed:
        raw = evidence.write(evidence.bundle(session, evidence.prove(session, lines, (signed,)), newest.keys))
        assert check(raw, {"ncen/NL": fingerprint(first.signing_key.public_key().public_bytes_raw())})
    other = Keyring.open(keys).signing_key
    assert other.public_key() != first.signing_key.public_key()
    for stranger in (first.signing_key, other):
        with pytest.raises(NotCheckpoint):
            newest.keys.read(checkpoint.sign(Head("ncen/NL", 12, bytes(32)), stranger))


def test_keys_that_a_crash_has_left_are_destroyed(keys: Path) -> None:
    Keyring.open(keys)
    replaced(keys, 1)
    left = (keys / "ledger-1.key").read_bytes()
    replaced(keys, 2)
    (keys / "ledger-1.key").write_bytes(left)
    prover(keys, keys)
    assert not (keys / "ledger-1.key").exists()
