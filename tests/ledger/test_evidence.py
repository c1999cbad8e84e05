"""Evidence: a good bundle is proven on a machine that has nothing of ours, and a bundle changed anywhere is refuted."""

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import checkpoint, checkpoints, evidence
from ledger.checkpoints import Cosignature
from ledger.errors import NotFound
from ledger.ledger import Ledger
from ledger.node_keys import fingerprint
from ledger.prover import Prover
from ledger.sessions import Session
from ledger.verify_evidence import Refuted, check
from soak.sealing import seal_all
from tests.ledger.samples import OFFICER, more_goods, seizure
from tests.ledger.test_checkpoints import record

SECRET = "the courier hid it under the spare wheel"
WITNESSES = {"ncen/BE": Ed25519PrivateKey.generate(), "ncen/DE-NORTH": Ed25519PrivateKey.generate()}


@pytest.fixture
def prover(ledger: Ledger, keys: Path, tmp_path: Path) -> Prover:
    return Prover.open(keys, node=ledger.node, folder=tmp_path / "checkpoints")


def cosign(session: Session, prover: Prover) -> None:
    """Two witnesses cosign the newest checkpoint."""
    newest = checkpoints.find(session, prover.keys, None).newest
    assert newest is not None
    for name, key in WITNESSES.items():
        line = checkpoint.cosignature(newest.note, name, key, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        told = Cosignature(name, key.public_key().public_bytes_raw(), line, datetime.now(UTC))
        checkpoints.store_cosignature(session, newest.size, told)


class Case:
    """A ledger of 300 entries with a record of four entries among them, one of them personal."""

    def __init__(self, ledger: Ledger, session: Session, prover: Prover) -> None:
        self.ledger, self.session, self.prover = ledger, session, prover
        record(ledger, session, 150)
        self.record_id = ledger.new_id()
        ledger.execute(self.record_id, seizure(narrative=SECRET), OFFICER)
        ledger.execute(self.record_id, more_goods(), OFFICER)
        record(ledger, session, 147)
        seal_all(session)
        prover.look(session)
        cosign(session, prover)
        record(ledger, session, 20)
        prover.look(session)

    def make(self, *, opened: bool = False, with_attribution: bool = True) -> bytes:
        signed = checkpoints.find(self.session, self.prover.keys, None).signed
        proven = evidence.prove(self.session, evidence.lines_of(self.session, [self.record_id]), signed)
        vault = self.ledger.vault if opened else None
        made = evidence.bundle(self.session, proven, self.prover.keys, vault=vault, with_attribution=with_attribution)
        return evidence.write(made)


@pytest.fixture
def case(ledger: Ledger, session: Session, prover: Prover) -> Case:
    return Case(ledger, session, prover)


def elsewhere(folder: Path, raw: bytes, *words: str) -> "subprocess.CompletedProcess[str]":
    """Check a bundle as another machine would: the printed program, isolated, in an empty folder."""
    folder.mkdir(exist_ok=True)
    (folder / "verify_evidence.py").write_text(evidence.verifier(), encoding="utf-8")
    (folder / "bundle.json").write_bytes(raw)
    return subprocess.run(
        [sys.executable, "-I", "verify_evidence.py", "bundle.json", *words],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_good_bundle_is_proven_elsewhere(case: Case, tmp_path: Path) -> None:
    done = elsewhere(tmp_path / "empty", case.make())
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout
    assert told.startswith(
        "PROVEN: these entries stand, word for word, in the ledger ncen/NL, among its first 300 entries"
    )
    assert f"version 1 of the record {case.record_id}" in told
    assert '"event": "seizure.recorded"' in told
    assert "officer.one" in told
    assert "sealed; it names somebody" in told
    assert "ncen/BE has witnessed them at 2026-01-02T03:04:05Z" in told
    assert "ncen/DE-NORTH has witnessed" in told
    assert fingerprint(case.prover.keys.keys[0].public_key) in told
    assert "Not proven: that the records have no other entries" in told
    assert SECRET not in told


def test_opened_bundle_tells_what_was_sealed_and_a_bare_one_does_not_say_who(case: Case, tmp_path: Path) -> None:
    assert SECRET.encode() not in case.make(opened=True)
    assert SECRET in elsewhere(tmp_path / "empty", case.make(opened=True)).stdout
    bare = elsewhere(tmp_path / "empty", case.make(with_attribution=False))
    assert bare.returncode == 0
    assert "officer.one" not in bare.stdout
    assert b"officer.one" not in case.make(with_attribution=False)


def test_what_was_erased_cannot_be_opened(case: Case) -> None:
    case.session.execute("DELETE FROM ledger.subject_key WHERE record_id = %s", [case.record_id])
    case.ledger.vault.forget()
    assert b"entry_key" not in case.make(opened=True)


def test_key_known_otherwise_refutes_a_forger(case: Case, tmp_path: Path) -> None:
    """A forger who signs with a key of his own makes a bundle that is whole: only the key tells."""
    own = case.prover.keys.keys[0].public_key
    key = base64.b64encode(own).decode()
    for known in (key, fingerprint(own), fingerprint(own).replace(" ", "")):
        assert elsewhere(tmp_path / "empty", case.make(), "--key", f"ncen/NL={known}").returncode == 0
    forger = Ed25519PrivateKey.generate()
    bundle = json.loads(case.make())
    head = checkpoint.unsigned(bundle["checkpoint"])
    bundle |= {
        "checkpoint": checkpoint.sign(head, forger),
        "key": base64.b64encode(forger.public_key().public_bytes_raw()).decode(),
        "witnesses": {},
    }
    raw = json.dumps(bundle).encode()
    assert "No witness has cosigned" in elsewhere(tmp_path / "empty", raw).stdout
    done = elsewhere(tmp_path / "empty", raw, "--key", f"ncen/NL={key}")
    assert (done.returncode, done.stdout) == (
        1,
        "REFUTED: The key of ncen/NL is not the one that you know: do not believe it.\n",
    )
    assert elsewhere(tmp_path / "empty", case.make(), "--key", f"ncen/FR={key}").returncode == 1


# -- every field flipped


def places(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401  # JSON
    """Every place in a bundle, inner ones too."""
    if path:
        yield path
    if isinstance(told, dict):
        for key, value in told.items():
            yield from places(value, (*path, key))
    elif isinstance(told, list):
        for place, value in enumerate(told):
            yield from places(value, (*path, place))


def flipped(value: Any) -> Iterator[Any]:  # noqa: ANN401  # JSON
    """A value changed in many ways."""
    if isinstance(value, str):
        for place in {0, 1, len(value) // 3, len(value) // 2, len(value) - 2, len(value) - 1} & set(range(len(value))):
            for other in ("A" if value[place] != "A" else "B", "9" if value[place] != "9" else "8"):
                yield value[:place] + other + value[place + 1 :]
            yield value[:place] + value[place + 1 :]
        yield value + value[-1:]
        yield from ("", None, 7)
    elif isinstance(value, int):
        yield from (value + 1, value - 1, 0, -value, 10**18, str(value), float(value), None)
    elif isinstance(value, list):
        yield from ([], value[:-1], [*value, *value[-1:]], value[::-1] if len(value) > 1 else None, {})
    elif isinstance(value, dict):
        yield from ({}, {**value, "more": "x"}, None, [])


def changed(bundle: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in places(bundle):
        holder: Any = bundle
        for step in path[:-1]:
            holder = holder[step]
        where = "/".join(map(str, path))
        for value in flipped(holder[path[-1]]):
            if value == holder[path[-1]] and type(value) is type(holder[path[-1]]):
                continue
            other = copy.deepcopy(bundle)
            inner: Any = other
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = value
            yield f"{where} = {value!r:.60}", other
        other = copy.deepcopy(bundle)
        inner = other
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        yield f"{where} taken away", other


def is_proven(raw: bytes) -> bool:
    try:
        check(raw, {})
    except Refuted:
        return False
    return True


def test_bundle_changed_anywhere_is_refuted(case: Case) -> None:
    bundle = json.loads(case.make(opened=True))
    assert len(bundle["entries"]) == 3
    assert is_proven(json.dumps(bundle).encode())
    still, tried = [], 0
    for what, other in changed(bundle):
        tried += 1
        if is_proven(json.dumps(other).encode()):
            still.append(what)
    assert tried > 1_000
    # What remains is a true bundle that says less: an entry left out, or the key that opens one.
    less = [what for what in still if what.startswith("entries/") and what.endswith("taken away")]
    less += [what for what in still if what.startswith("entries = ")]
    assert sorted(still) == sorted(less), "a bundle that was changed is still proven"
    assert all(
        what.count("/") == 1 or what.endswith("entry_key taken away") or what.startswith("entries = ") for what in less
    )


def test_other_changes_are_refuted_elsewhere_too(case: Case, tmp_path: Path) -> None:
    good = json.loads(case.make())
    first, second = good["entries"][:2]
    bad: dict[str, bytes] = {
        "no JSON": b"PROVEN",
        "no text": b"\xff\xfe",
        "deep": b"[" * 200_000,
        "twice": json.dumps(good).replace('"key":', '"key": "AAAA", "key":', 1).encode(),
        "bodies swapped": json.dumps(
            good | {"entries": [first | {"body": second["body"]}, second | {"body": first["body"]}]}
        ).encode(),
        "proofs swapped": json.dumps(
            good | {"entries": [first | {"proof": second["proof"]}, second | {"proof": first["proof"]}]}
        ).encode(),
        "witnesses swapped": json.dumps(
            good | {"witnesses": dict(zip(good["witnesses"], reversed(good["witnesses"].values()), strict=True))}
        ).encode(),
        "re-dated": json.dumps(good | {"entries": [first | {"header": _later(first["header"])}]}).encode(),
    }
    for what, raw in bad.items():
        done = elsewhere(tmp_path / "empty", raw)
        assert (done.returncode, done.stderr) == (1, ""), f"{what}: {done.stdout}"
        assert done.stdout.startswith("REFUTED: ")
    (tmp_path / "empty" / "bundle.json").unlink()
    asked = [sys.executable, "-I", "verify_evidence.py", "nothing.json"]
    gone = subprocess.run(asked, cwd=tmp_path / "empty", capture_output=True, check=False)
    assert gone.returncode == 2


def _later(header: str) -> str:
    raw = bytearray(base64.b64decode(header))
    raw[9] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def test_nothing_is_proven_of_what_does_not_fit(case: Case) -> None:
    case.session.execute("ALTER TABLE ledger.sealed DISABLE TRIGGER insert_only")
    case.session.execute("UPDATE ledger.sealed SET leaf = sha256(leaf) WHERE record_id = %s", [case.record_id])
    with pytest.raises(NotFound, match="cannot be proven"):
        case.make()


def test_the_verifier_stands_alone() -> None:
    text = evidence.verifier()
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported - {"cryptography"} <= set(sys.stdlib_module_names)
    assert len(text.splitlines()) <= 450
