"""The answer to a commit is lost, 20 times of 20: one effect, and the same answer as if nothing had happened."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.event import Command
from domain.seizure import WriteNarrative
from ledger.ledger import Asked, Ledger, Recorded
from tests.ledger.cutting import PORT, Cutting
from tests.ledger.samples import OFFICER, more_goods, seizure

TIMES = 20


@pytest.fixture
def cutting(database_url: str, open_folder: Path) -> Iterator[Cutting]:
    """Put a proxy before the server."""
    server = Path(str(conninfo_to_dict(database_url)["host"])) / f".s.PGSQL.{PORT}"
    proxy = Cutting(open_folder, server)
    yield proxy
    proxy.close()


@pytest.fixture
def far(cutting: Cutting, database_url: str, ledger: Ledger, keys: Path) -> Iterator[Ledger]:
    """Open the ledger through the proxy."""
    assert ledger.node
    with Ledger.open(make_conninfo(database_url, host=str(cutting.folder)), node="NL", keys=keys) as opened:
        opened.execute(opened.new_id(), seizure(), OFFICER)
        yield opened


@pytest.mark.parametrize("loses_request", [False, True])
@pytest.mark.parametrize(
    ("first", "command", "word"),
    [
        (None, seizure(), b"ncen_one"),
        (None, seizure(narrative="told by hand"), b"ncen_with_keys"),
        (seizure(narrative="before"), more_goods(), b"ncen_one"),
        (seizure(narrative="before"), WriteNarrative(text="after"), b"ncen_one"),
    ],
)
def test_command_has_one_effect_and_its_answer(  # noqa: PLR0917  # each says what is cut where
    cutting: Cutting,
    far: Ledger,
    ledger: Ledger,
    first: Command | None,
    command: Command,
    word: bytes,
    loses_request: bool,
) -> None:
    for time in range(1, TIMES + 1):
        record_id, command_id = ledger.new_id(), ledger.new_id()
        known = ledger.execute(record_id, first, OFFICER).version if first else 0
        cutting.cut_at(word, loses_request=loses_request)
        answer = far.execute(record_id, command, OFFICER, command_id=command_id)
        assert cutting.cuts == time
        made = [entry for entry in ledger.entries(record_id) if entry.version > known]
        assert tuple(made) == answer.entries != ()
        assert {entry.command_id for entry in made} == {command_id}
        assert not answer.is_repeated
        again = far.execute(record_id, command, OFFICER, command_id=command_id)
        assert (again.is_repeated, again.version, again.entries) == (True, answer.version, answer.entries)


@pytest.mark.parametrize(
    ("count", "word", "loses_request"),
    [
        (8, b"ncen_many", False),
        (8, b"ncen_many", True),
        (100, b"COMMIT", False),
        (100, b"COMMIT", True),
        (100, b"PGCOPY", True),
    ],
)
def test_batch_has_one_effect_and_its_answers(  # noqa: PLR0917  # the same
    cutting: Cutting, far: Ledger, ledger: Ledger, count: int, word: bytes, loses_request: bool
) -> None:
    for time in range(1, TIMES + 1):
        asked = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(count)]
        cutting.cut_at(word, loses_request=loses_request)
        answers = far.execute_all(asked, OFFICER)
        assert cutting.cuts == time
        for each, answer in zip(asked, answers, strict=True):
            assert isinstance(answer, Recorded)
            assert not answer.is_repeated
            assert tuple(ledger.entries(each.record_id)) == answer.entries != ()
        far._expects_new = True


def test_server_that_stays_away_is_said_so_and_asking_again_is_certain(
    cutting: Cutting, far: Ledger, ledger: Ledger
) -> None:
    record_id, command_id = ledger.new_id(), ledger.new_id()
    cutting.cut_at(b"ncen_one")
    cutting.is_open = False
    with pytest.raises(psycopg.OperationalError):
        far.execute(record_id, seizure(), OFFICER, command_id=command_id)
    with pytest.raises(psycopg.OperationalError):
        far.execute(ledger.new_id(), seizure(), OFFICER)
    cutting.is_open = True
    answer = far.execute(record_id, seizure(), OFFICER, command_id=command_id)
    assert answer.is_repeated
    assert tuple(ledger.entries(record_id)) == answer.entries != ()


def test_session_that_died_while_idle_is_replaced(cutting: Cutting, far: Ledger, ledger: Ledger) -> None:
    record_id = far.execute(far.new_id(), seizure(), OFFICER).record_id
    with psycopg.connect(ledger._database_url, autocommit=True) as connection, suppress(psycopg.Error):
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ncen'")
    assert far.execute(record_id, more_goods(), OFFICER).version == 2
    assert cutting.cuts == 0
