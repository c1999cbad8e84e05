"""The residue scan: after erasure and rotation nothing of the subject lies in any file, and before that it does."""

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from cli.postgres import EmbeddedPostgres
from domain.assertion import Statement, StatementKind
from domain.codes import DocumentKind, PartyRole
from domain.identity import Address, IdentityDocument, PersonName
from domain.party import Party
from domain.person import RegisterPerson
from ledger import epochs, erasure
from ledger.erasure import Eraser
from ledger.ledger import Ledger
from ledger.sessions import connect
from projections import forgetting
from tests.ledger.samples import OFFICER, seizure
from tests.ledger.test_erasure import CUSTODIAN, EXPIRED
from tests.projections.conftest import Node

CANARIES = ("Xaverius Quackenbosch", "PASSZQ4711Q", "Zzyzx Lane 77")
STAYS = "Ottilie Yggdrasil"


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server of its own, whose files hold this test only."""
    own = EmbeddedPostgres(
        open_folder / "pg", settings={"shared_buffers": "'32MB'", "wal_compression": "off", "archive_mode": "off"}
    )
    own.start()
    own.create_database("ledger")
    yield own
    own.stop()


def person(*said: PersonName | IdentityDocument | Address) -> RegisterPerson:
    return RegisterPerson(
        statements=tuple(Statement(said=one, kind=StatementKind.FACT, source="OFFICER") for one in said)
    )


def fill(node: Node) -> UUID:
    """A person with canaries, with a part in cases, among others who stay."""
    who = node.do(
        person(
            PersonName(full=CANARIES[0]),
            IdentityDocument(kind=DocumentKind.PASSPORT, number=CANARIES[1]),
            Address(text=CANARIES[2]),
        ),
        by=OFFICER,
    )
    node.do(seizure(parties=(Party(party=who, role=PartyRole.DRIVER),)), by=OFFICER)
    for _ in range(50):
        node.do(person(PersonName(full=STAYS)), by=OFFICER)
    node.project()
    return who


def secrets_of(ledger: Ledger, url: str, who: UUID) -> list[bytes]:
    with connect(url) as session:
        rows = session.execute(
            "SELECT key_id FROM ledger.subject_key WHERE subject_tag = %s", [ledger.vault.subject_tag(who)]
        ).fetchall()
        return [held.secret for held in ledger.vault.find(session, [key_id for (key_id,) in rows]).values()]


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def residues(found: list[tuple[str, bytes]], looked_for: list[bytes]) -> set[str]:
    """The files in which one of these lies, as it is or in hex, in any letters."""
    return {
        place
        for place, content in found
        for secret in looked_for
        if secret in content or secret.lower() in content or secret.hex().encode() in content
    }


def dumped(server: EmbeddedPostgres) -> bytes:
    program = server.program("pg_dump")
    if not program.exists():
        pytest.skip("these binaries have no pg_dump")
    done = subprocess.run(
        [program, "--dbname", server.dsn("ledger"), "--format", "plain"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("is_cleared", [True, False], ids=["cleared", "control: the files are not cleared"])
def test_nothing_of_the_erased_lies_in_any_file(
    is_cleared: bool, server: EmbeddedPostgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url, keys = server.dsn("ledger"), tmp_path / "keys"
    node = Node(url, keys)
    who = fill(node)
    canaries = [canary.encode() for canary in CANARIES]
    secrets = secrets_of(node.ledger, url, who)
    old_epoch = (keys / "epoch-1.key").read_bytes()
    assert len(secrets) == 2
    with Eraser.open(url, node="XA", keys=keys) as eraser:
        done = eraser.erase(who, "person", EXPIRED, CUSTODIAN)
    with connect(url) as session:
        forgetting.retell(url, session)
    node.project()
    assert forgetting.is_forgotten(url, [done])
    epochs.rotate(url, keys)
    if is_cleared:
        assert forgetting.clear(url).left == ()
    with connect(url) as session:
        session.execute("CHECKPOINT")
        assert len(erasure.listed(session, "destroyed_at IS NOT NULL")) == 1
    node.ledger.close()
    server.stop()
    found = list(files(server._place(), keys))
    found.append(("log of this process", caplog.text.encode()))
    assert residues(found, [*secrets, old_epoch]) == set(), "no key ever lay in the clear, and the old epoch's is gone"
    assert len(residues(found, [STAYS.encode()])) >= 1, "who stays is found, so that the search works"
    left = residues(found, canaries)
    assert (left == set()) is is_cleared, left


def test_a_dump_made_afterwards_holds_nothing(server: EmbeddedPostgres, tmp_path: Path) -> None:
    url, keys = server.dsn("ledger"), tmp_path / "keys"
    node = Node(url, keys)
    who = fill(node)
    before = dumped(server)
    with Eraser.open(url, node="XA", keys=keys) as eraser:
        eraser.erase(who, "person", EXPIRED, CUSTODIAN)
    with connect(url) as session:
        forgetting.retell(url, session)
    node.project()
    after = dumped(server)
    node.ledger.close()
    assert all(residues([("dump", before)], [canary.encode()]) for canary in CANARIES), "the control: before, they do"
    assert not residues([("dump", after)], [canary.encode() for canary in CANARIES])
    assert residues([("dump", after)], [STAYS.encode()])
