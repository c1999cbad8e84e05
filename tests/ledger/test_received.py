"""What a peer disclosed stands in our ledger as it stood in theirs, and never speaks for anybody else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from domain.entry import Provenance
from domain.event import Erased
from domain.refused import Refused
from ledger.errors import Conflict, Damaged
from ledger.ledger import Ledger, Reader
from ledger.received import Received, append_received
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from ledger.verify import verify
from tests.ledger.samples import OFFICER, more_goods, seizure

CAME = Provenance(
    peer="NL",
    number=1,
    instrument="EU:515/97",
    premise_version=1,
    handling="TLP:AMBER",
    received_at=datetime(2024, 5, 2, tzinfo=UTC),
)


@pytest.fixture
def there(postgres_server: EmbeddedPostgres, tmp_path: Path, database_url: str) -> Iterator[tuple[str, Path]]:
    """Make a second node, BE, in a database of its own; return its address and its keys."""
    name = database_url.split("dbname=")[1].strip() + "_be"
    postgres_server.create_database(name)
    url, keys = postgres_server.dsn(name), tmp_path / "keys-be"
    Ledger.open(url, node="BE", keys=keys).close()
    yield url, keys
    postgres_server.drop_database(name)


def _disclose(reader: Reader, session: Session, *, shows_attribution: bool = True) -> list[Received]:
    """Say of all sealed entries what a peer would be told."""
    return [
        Received(
            record_id=line.record_id,
            version=line.version,
            recorded_at=line.recorded_at,
            node=line.node,
            name=line.name,
            is_personal=line.is_personal,
            body=line.body,
            attribution=line.attribution if shows_attribution else None,
            attribution_salt=line.attribution_salt if shows_attribution else None,
            attribution_hash=line.attribution_hash,
            entry_key=reader.vault.entry_key(session, line.key_id, line.body),
            provenance=CAME,
        )
        for line in reader.read_stored(0, 100)
    ]


@pytest.fixture
def disclosed(ledger: Ledger, reader: Reader, session: Session) -> list[Received]:
    """Record a seizure with an account of it here, and disclose it."""
    record_id = ledger.execute(ledger.new_id(), seizure(narrative="told by hand"), OFFICER).record_id
    ledger.execute(record_id, more_goods(), OFFICER)
    seal_once(session)
    return _disclose(reader, session)


def _append(there: tuple[str, Path], lines: list[Received]) -> int:
    url, keys = there
    with Reader.open(url, keys=keys) as reader, psycopg.connect(url) as connection:
        return append_received(connection, lines, reader.vault)


def test_received_entries_keep_everything(
    disclosed: list[Received], there: tuple[str, Path], reader: Reader, ledger: Ledger
) -> None:
    assert _append(there, disclosed[:2]) == 2
    assert _append(there, disclosed) == 1  # what is here already is passed over
    assert _append(there, disclosed) == 0
    url, keys = there
    with connect(url) as other:
        seal_once(other)
    record_id = disclosed[0].record_id
    with Reader.open(url, keys=keys) as theirs:
        own, received = reader.read_stored(0, 10), theirs.read_stored(0, 10)
        assert [line.leaf for line in received] == [line.leaf for line in own]
        assert [line.body for line in received] == [line.body for line in own]
        assert {line.provenance for line in received} == {CAME}
        entries = theirs.record(record_id)
        assert [msgspec.structs.replace(entry, provenance=None) for entry in entries] == ledger.entries(record_id)
        assert {entry.provenance for entry in entries} == {CAME}
    verdict = verify(url, keys=keys)
    assert (verdict.is_sound, verdict.entries, verdict.opened) == (True, 3, 1)


def test_one_entry_key_opens_that_entry_and_no_other(
    disclosed: list[Received], there: tuple[str, Path], ledger: Ledger, session: Session, reader: Reader
) -> None:
    from domain.seizure import WriteNarrative  # only here

    ledger.execute(disclosed[0].record_id, WriteNarrative(text="not for them"), OFFICER)
    seal_once(session)
    lines = _disclose(reader, session)
    withheld = msgspec.structs.replace(lines[3], entry_key=None)
    assert _append(there, [*lines[:3], withheld]) == 4
    url, keys = there
    with connect(url) as other, Reader.open(url, keys=keys) as theirs:
        seal_once(other)
        entries = theirs.read(0, 10)
        assert [isinstance(entry.event, Erased) for entry in entries] == [False, False, False, True]
        assert verify(url, keys=keys).is_sound
        wrong = msgspec.structs.replace(lines[3], version=5, entry_key=lines[1].entry_key)
        with pytest.raises(Damaged, match="cannot be read"), other.transaction():
            append_received(other, [wrong], theirs.vault)


def test_withheld_attribution_is_proven_all_the_same(
    disclosed: list[Received], there: tuple[str, Path], reader: Reader, session: Session
) -> None:
    _append(there, _disclose(reader, session, shows_attribution=False))
    url, keys = there
    with connect(url) as other, Reader.open(url, keys=keys) as theirs:
        seal_once(other)
        assert {entry.by for entry in theirs.read(0, 10)} == {None}
        assert [line.leaf for line in theirs.read_stored(0, 10)] == [line.leaf for line in disclosed]
    assert verify(url).is_sound


def test_lines_of_one_transaction_keep_their_order(disclosed: list[Received], there: tuple[str, Path]) -> None:
    url, keys = there
    with Reader.open(url, keys=keys) as theirs, psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        for line in disclosed:
            append_received(connection, [line], theirs.vault)
        connection.commit()
        with connect(url) as other:
            assert seal_once(other) == 3
        assert [entry.version for entry in theirs.read(0, 10)] == [1, 2, 3]


def test_peer_speaks_for_its_own_records_only(disclosed: list[Received], there: tuple[str, Path]) -> None:
    _append(there, disclosed)
    first = disclosed[0]
    for forged in (
        msgspec.structs.replace(first, node="BE", record_id=Ledger.new_id()),  # ours
        msgspec.structs.replace(first, node="FR", version=9),  # the record of another
        msgspec.structs.replace(first, body=disclosed[2].body, name=disclosed[2].name),  # another second version
    ):
        with pytest.raises(Conflict):
            _append(there, [forged])
    assert verify(there[0]).is_sound


def test_parts_that_do_not_fit_are_refused(disclosed: list[Received], there: tuple[str, Path]) -> None:
    first, second = disclosed[:2]
    for broken in (
        msgspec.structs.replace(first, attribution_hash=bytes(32)),
        msgspec.structs.replace(first, body=b"\xc1"),
        msgspec.structs.replace(first, name="seizure.unheard-of"),
        msgspec.structs.replace(first, is_personal=True, entry_key=bytes(32)),
        msgspec.structs.replace(second, is_personal=False, entry_key=None),
        msgspec.structs.replace(second, entry_key=bytes(32)),
        msgspec.structs.replace(second, recorded_at=first.recorded_at.replace(year=2001)),
    ):
        with pytest.raises(Damaged):
            _append(there, [broken])


def test_received_record_is_not_changed_here(disclosed: list[Received], there: tuple[str, Path]) -> None:
    _append(there, disclosed)
    url, keys = there
    with Ledger.open(url, node="BE", keys=keys) as theirs, pytest.raises(Refused, match="belongs to NL"):
        theirs.execute(disclosed[0].record_id, more_goods(), OFFICER)


def test_erasing_a_subject_closes_what_was_received(disclosed: list[Received], there: tuple[str, Path]) -> None:
    _append(there, disclosed)
    url, keys = there
    with connect(url) as other, Reader.open(url, keys=keys) as theirs:
        seal_once(other)
        tag = theirs.vault.subject_tag(disclosed[0].record_id)
        assert other.execute("DELETE FROM ledger.subject_key WHERE subject_tag = %s", [tag]).rowcount == 1
        assert theirs.read(0, 10)[1].event == Erased("seizure.narrative-written")
