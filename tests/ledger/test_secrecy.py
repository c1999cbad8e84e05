"""Nothing personal lies in the clear: not in a table, a data file, the write-ahead log, a server log or a message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.postgres import EmbeddedPostgres
from domain.codes import DocumentKind, PartyRole
from domain.seizure import Document, Party, Plate, WriteNarrative
from ledger.errors import Conflict, Damaged
from ledger.keyring import Keyring
from ledger.ledger import Asked, Ledger
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from tests.ledger.samples import OFFICER, seizure

NAMES = ("Xaverius Quackenbosch", "PLATE-QX-77", "PASS-ZQ-4711-Q", "Wilhelmina Zzyzx")
OPEN = "NLQXQX99"


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server of its own, whose files hold this test only."""
    own = EmbeddedPostgres(open_folder / "pg", settings={"shared_buffers": "'32MB'", "wal_compression": "off"})
    own.start()
    own.create_database("ledger")
    yield own
    own.stop()


def _record(ledger: Ledger) -> bytes:
    """Record what is personal by every way of writing; return the id of a person."""
    person = ledger.new_id()
    told = seizure(
        office=OPEN,
        narrative=f"Seen with {NAMES[0]}",
        plates=(Plate(number=NAMES[1]),),
        documents=(Document(kind=DocumentKind.PASSPORT, number=NAMES[2]),),
        parties=(Party(party=person, role=PartyRole.DRIVER),),
    )
    first = ledger.execute(ledger.new_id(), told, OFFICER)
    ledger.execute(first.record_id, WriteNarrative(text=NAMES[3]), OFFICER)
    for count in (5, 60):
        asked = [Asked(record_id=ledger.new_id(), command=told, command_id=ledger.new_id()) for _ in range(count)]
        ledger.execute_all(asked, OFFICER)
    return person.bytes


def _tables(session: Session) -> Iterator[tuple[str, bytes]]:
    names = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'").fetchall()
    for (name,) in names:
        for form in ("text", "binary"):
            with session.cursor().copy(f"COPY ledger.{name} TO STDOUT (FORMAT {form})".encode()) as copy:
                yield f"{name} as {form}", b"".join(bytes(data) for data in copy)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()


def test_nothing_personal_and_no_key_lies_in_the_clear(server: EmbeddedPostgres, keys: Path) -> None:
    url = server.dsn("ledger")
    with Ledger.open(url, node="NL", keys=keys) as ledger, connect(url) as session:
        person = _record(ledger)
        keyring = Keyring.open(keys)
        rows = session.execute("SELECT key_id FROM ledger.subject_key").fetchall()
        held = ledger.vault.find(session, [row[0] for row in rows])
        seal_once(session)
        session.execute("CHECKPOINT")
        stored = list(_tables(session))
    secrets = [person, keyring.index_key, keyring.epoch_key(1), keyring.intake_key]
    secrets += [keyring.signing_key.private_bytes_raw(), keyring.box_key.private_bytes_raw()]
    secrets += [key.secret for key in held.values()]
    secrets += [name.encode() for name in NAMES]
    assert len(held) == 2 * 66
    server.stop()
    stored += list(_files(server._place()))
    assert sum(OPEN.encode() in content for _, content in stored) >= 3  # what is open is found, so the search works
    leaks = [
        (place, number) for place, content in stored for number, secret in enumerate(secrets) if _holds(content, secret)
    ]
    assert leaks == []


def _holds(content: bytes, secret: bytes) -> bool:
    return secret in content or secret.hex().encode() in content


def test_messages_name_places_and_no_values(ledger: Ledger, session: Session) -> None:
    record_id = ledger.execute(ledger.new_id(), seizure(narrative=NAMES[0]), OFFICER).record_id
    session.execute("ALTER TABLE ledger.entry DISABLE TRIGGER insert_only")
    session.execute("UPDATE ledger.entry SET body = '\\x00' WHERE version = 2")
    with pytest.raises(Damaged) as caught:
        ledger.entries(record_id)
    shown = str(caught.value) + repr(caught.value) + str(caught.value.__cause__) + str(Conflict("x"))
    assert not any(name in shown for name in NAMES)
