"""Verify, fsck, proof and evidence as the command has them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.output import ExitCode
from tests.cli.node import Inside, Ncen, node
from tests.ledger.test_checkpoints import forge

pytestmark = pytest.mark.timeout(600)
SECRET = "under the spare wheel"


@pytest.fixture
def ncen(database_url: str, tmp_path: Path) -> Iterator[Ncen]:
    with node(tmp_path / "home", database_url, kind=Inside) as made:
        yield made


def recorded(ncen: Ncen) -> str:
    facts = ("--office", "XAPORT", "--place", "XA", "--on", "2024-05-31", "--narrative", SECRET)
    goods = ("--goods", "section=tobacco,quantity=1200 cigarettes")
    return ncen.does("seizure", "record", *facts, *goods, "--wait", "20").strip()


def test_a_record_is_proven_and_its_bundle_checked_elsewhere(ncen: Ncen, tmp_path: Path) -> None:
    seizure = recorded(ncen)
    told = ncen.tells("proof", seizure)
    assert [entry["version"] for entry in told["entries"]] == [1, 2]
    assert told["checkpoint"].startswith(f"ncen/XA\n{told['size']}\n")
    assert told["witnesses"] == []
    assert "cosigned by nobody yet" in ncen.does("proof", seizure)
    assert ncen.does("proof", "checkpoint").startswith("ncen/XA\n")

    empty = tmp_path / "empty"
    empty.mkdir()
    program, bundle = empty / "verify_evidence.py", empty / "bundle.json"
    program.write_text(ncen.does("evidence", "verifier"))
    made = ncen.tells("evidence", "make", seizure, "-o", str(bundle))
    assert (made["entries"], made["witnesses"]) == (2, [])
    assert json.loads(ncen.does("evidence", "make", seizure)) == json.loads(bundle.read_bytes())
    asked = [sys.executable, "-I", "verify_evidence.py", "bundle.json"]
    done = subprocess.run(asked, cwd=empty, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "PROVEN")
    assert SECRET not in done.stdout
    assert "PROVEN" in ncen.does("evidence", "check", str(bundle))
    bundle.write_bytes(bundle.read_bytes().replace(b'"position": 1,', b'"position": 2,'))
    assert subprocess.run(asked, cwd=empty, env={}, capture_output=True, check=False).returncode == 1
    refuted = ncen.run("evidence", "check", str(bundle))
    assert (refuted.returncode, refuted.stdout.partition(":")[0]) == (ExitCode.NOT_VERIFIED, "REFUTED")


def test_what_names_somebody_is_opened_only_in_a_role_that_discloses(ncen: Ncen, tmp_path: Path) -> None:
    seizure = recorded(ncen)
    asked = ("evidence", "make", seizure, "--open", "-o", str(tmp_path / "bundle.json"))
    assert "only by these roles" in ncen.fails(ExitCode.REFUSED, *asked)
    ncen.does(*asked, "--role", "legal-officer", user="legal.one")
    assert SECRET in ncen.does("evidence", "check", str(tmp_path / "bundle.json"))


def test_keys_are_replaced_and_what_they_signed_stays_proven(ncen: Ncen, tmp_path: Path) -> None:
    seizure = recorded(ncen)
    ncen.does("proof", seizure)
    [first] = ncen.tells("keys", "list")["keys"]
    assert (first["from"], first["until"]) == (0, None)
    assert [key["why"] for key in ncen.tells("keys", "rotate")["keys"]] == ["rotated", None]
    recorded(ncen)
    assert "revoked" in ncen.does("keys", "revoke")
    recorded(ncen)
    ncen.does("proof", "checkpoint")
    assert ncen.tells("verify")["verified"]
    bundle = str(tmp_path / "bundle.json")
    ncen.does("evidence", "make", seizure, "-o", bundle)
    for key in ncen.tells("keys", "list")["keys"]:
        assert "PROVEN" in ncen.does("evidence", "check", bundle, "--key", f"ncen/XA={key['fingerprint']}")
    refuted = ncen.run("evidence", "check", bundle, "--key", "ncen/XA=0000 0000 0000 0000")
    assert refuted.returncode == ExitCode.NOT_VERIFIED


def test_what_is_not_there_cannot_be_proven(ncen: Ncen) -> None:
    missing = "0192f3a0-7c1b-7000-8000-000000000001"
    for words in (("proof", missing), ("evidence", "make", missing)):
        assert "has no sealed entry" in ncen.fails(ExitCode.NOT_FOUND, *words)
    assert "Name at least one record" in ncen.fails(ExitCode.USAGE, "evidence", "make")
    assert "Name a record" in ncen.fails(ExitCode.USAGE, "proof")


def test_verify_and_fsck_name_what_was_changed_also_with_its_chain(ncen: Ncen) -> None:
    records = [recorded(ncen) for _ in range(3)]
    ncen.does("proof", "tiles", str(ncen.home / "../tiles"))
    sound = ncen.tells("verify")
    assert (sound["verified"], sound["signed"], sound["entries"]) == (True, 6, 6)
    recorded(ncen)
    tail = ncen.tells("verify", "--tail")
    assert (tail["verified"], tail["since"], tail["entries"]) == (True, 6, 8)
    assert "2 sealed entries fit since position 6" in ncen.does("verify", "--tail")
    assert "8 sealed entries fit" in ncen.does("fsck")

    with psycopg.connect(ncen.database_url, autocommit=True) as session:
        for table in ("entry", "sealed", "subtree"):
            session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
        forge(session, 3)
        forge(session, 5)
    for words in (("verify", "--without-keys"), ("verify", "--tail")):
        done = ncen.run(*words)
        assert done.returncode == ExitCode.NOT_VERIFIED
        assert "between here and position 6 the history is not the one that was signed for" in done.stdout
    for tiles in ("checkpoints/tiles", "../tiles"):
        done = ncen.run("fsck", "--without-keys", "--tiles", str(ncen.home / tiles), "--json")
        assert done.returncode == ExitCode.NOT_VERIFIED
        faults = json.loads(done.stdout)["faults"]
        named = [(fault["position"], fault["record_id"], fault["version"]) for fault in faults if fault["record_id"]]
        assert named == [(3, records[1], 1), (5, records[2], 1)]
    assert "nothing is signed" in ncen.fails(ExitCode.NOT_VERIFIED, "proof", "checkpoint")
    status = ncen.run("status")
    assert status.returncode == ExitCode.NOT_VERIFIED
    assert "FAULTS, the first: position 1" in status.stdout
