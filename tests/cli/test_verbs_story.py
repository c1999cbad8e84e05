"""One seizure through the real command: recorded, corrected, validated by another, searched, counted, cancelled."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.output import ExitCode
from ledger.reader import Reader
from tests.cli.node import Inside, Ncen, node

pytestmark = pytest.mark.timeout(600)
GOODS = "section=drugs,substance=cocaine,quantity=2.5 kg,origin=CO"
FACTS = ("--office", "XAPORT", "--place", "XA-01", "--on", "2024-05-31")


@pytest.fixture
def ncen(database_url: str, tmp_path: Path) -> Iterator[Ncen]:
    with node(tmp_path / "home", database_url) as made:
        yield made


@pytest.fixture
def inside(database_url: str, tmp_path: Path) -> Iterator[Ncen]:
    with node(tmp_path / "home", database_url, kind=Inside) as made:
        yield made


def changes(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["from"], change["to"]) for change in entry["changes"]}


def test_a_seizure_from_its_first_minute_to_its_end(ncen: Ncen) -> None:
    wait = ("--wait", "20")
    seizure = ncen.does("seizure", "record", *FACTS, "--goods", GOODS, "--narrative", "Ana was stopped.", *wait).strip()
    assert str(uuid.UUID(seizure)) == seizure, "the id alone, so that a script can keep it"

    # Who has written sees it: in the record, in the list, by its words.
    shown = ncen.tells("seizure", "show", seizure)
    assert (shown["version"], shown["record"]["status"], shown["record"]["office"]) == (2, "draft", "XAPORT")
    assert shown["record"]["goods"][0]["goods"]["quantity"]["amount"] == "2.5"
    assert [hit["id"] for hit in ncen.tells("search", "stopped")["hits"]] == [seizure]

    corrected = ncen.tells("seizure", "correct", seizure, "--reason", "entry-error", "--office", "xaeast", *wait)
    assert corrected["events"] == ["seizure.circumstances-corrected"]
    ncen.does(
        "seizure", "goods", "correct", seizure, "1", "quantity=2.4 kg laboratory", "--reason", "laboratory-result"
    )
    ncen.does("seizure", "submit", seizure)
    said = ncen.fails(ExitCode.REFUSED, "seizure", "validate", seizure)
    assert said.strip().endswith("A seizure is validated by somebody other than those who recorded or changed it.")
    ncen.does("seizure", "validate", seizure, *wait, user="chief-02")

    told = ncen.tells("history", seizure)
    assert [entry["position"] for entry in told["entries"]] == [1, 2, 3, 4, 5, 6]
    first, words, office, goods, _, validated = told["entries"]
    assert (first["occurred_on"], first["happened"]) == ("2024-05-31", "Goods were seized.")
    assert first["by"] == {
        "actor": "officer-01",
        "role": "officer",
        "purpose": "detection",
        "legal_basis": "XA:CUSTOMS-ACT",
    }
    assert (words["personal"], office["personal"]) == (True, False)
    assert changes(office) == {"office": ("XAPORT", "XAEAST")}
    assert office["told"] == {"reason": "entry-error"}
    assert list(changes(goods)) == ["goods.1.quantity"]
    before, after = changes(goods)["goods.1.quantity"]
    assert (before["amount"], after["amount"], after["qualifier"]) == ("2.5", "2.4", "laboratory")
    assert (validated["by"]["actor"], validated["by"]["role"]) == ("chief-02", "supervisor")

    read = ncen.does("history", seizure)
    assert "XAPORT → XAEAST" in read
    assert "chief-02 as supervisor, for detection, on XA:CUSTOMS-ACT" in read
    assert "2.5 kg → 2.4 kg (laboratory)" in read

    # As it stood, by position and by time.
    assert ncen.tells("history", seizure, "--as-of", "2")["record"]["office"] == "XAPORT"
    assert ncen.tells("seizure", "show", seizure, "--as-of", office["recorded_at"])["record"]["office"] == "XAEAST"
    assert "was not on record then" in ncen.fails(
        ExitCode.NOT_FOUND, "seizure", "show", seizure, "--as-of", "2020-01-01"
    )

    by = ("stats", "seizures", "--by", "section,substance,month,outcome", "--where", "section=drugs")
    assert ncen.tells(*by) == {
        "position": 6,
        "rows": [
            {
                "section": "drugs",
                "substance": "cocaine",
                "month": "2024-05",
                "outcome": None,
                "unit": "KGM",
                "quantity": "2.4",
                "seizures": 1,
                "lines": 1,
            }
        ],
    }
    assert ncen.tells(*by, "--as-of", "3")["rows"][0]["quantity"] == "2.5"
    assert ncen.tells(*by, "--as-of", goods["recorded_at"])["rows"][0]["quantity"] == "2.4"

    ncen.does("seizure", "cancel", seizure, "--reason", "duplicate", "--remark", "Twice on paper.", *wait)
    assert ncen.tells(*by)["rows"] == []
    assert "can no longer be changed" in ncen.fails(
        ExitCode.REFUSED, "seizure", "goods", "add", seizure, "section=tobacco"
    )
    assert ncen.tells("seizure", "list", "--status", "cancelled")["hits"][0]["id"] == seizure
    verified = ncen.tells("verify")
    assert (verified["verified"], verified["entries"], verified["opened"]) == (True, 8, 2)


def test_saying_it_twice_records_it_once(ncen: Ncen) -> None:
    command_id = str(uuid.uuid4())
    line = ("seizure", "record", *FACTS, "--goods", GOODS, "--command-id", command_id)
    first = ncen.tells(*line)
    again = ncen.tells(*line)
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert (first["id"], first["version"]) == (again["id"], again["version"]) == (command_id, 1)
    with Reader.open(ncen.database_url, keys=None) as reader:
        assert reader.head() == 1


def test_a_whole_command_from_standard_input(ncen: Ncen) -> None:
    command = {
        "command": "record-seizure",
        "office": "XAPORT",
        "place": {"country": "XA"},
        "occurred_on": "2024-05-31",
        "goods": [{"section": "drugs", "quantity": {"amount": "0.1", "written": "0,1", "unit": "KGM"}}],
        "narrative": "Mr. Example was stopped.",
    }
    wanted = str(uuid.uuid4())
    line = ("seizure", "record", "--json-file", "-", "--id", wanted)
    assert ncen.does(*line, text=json.dumps(command)).strip() == wanted
    said = ncen.fails(ExitCode.BAD_INPUT, *line, text=json.dumps(command | {"office": "Mr. Example"}))
    assert "office does not fit: expected is customs office" in said
    assert "Example" not in said
    assert "already on record" in ncen.fails(ExitCode.REFUSED, *line, text=json.dumps(command))


def test_how_a_line_that_fails_ends(inside: Ncen, tmp_path: Path) -> None:
    unknown = "01890000-0000-7000-8000-000000000000"
    assert "There is no seizure with the id" in inside.fails(ExitCode.NOT_FOUND, "seizure", "show", unknown)
    assert "There is no record with the id" in inside.fails(ExitCode.NOT_FOUND, "history", unknown)
    assert "There is no record with the id" in inside.fails(ExitCode.NOT_FOUND, "seizure", "submit", unknown)
    missing = inside.fails(ExitCode.USAGE, "seizure", "record", "--office", "XAPORT")
    assert "Missing: --place, --on, --goods" in missing
    assert "section" in inside.fails(ExitCode.USAGE, "seizure", "record", *FACTS, "--goods", "drugs")
    nobody = Inside(inside.home, inside.database_url, user=None)
    assert "Say who acts" in nobody.fails(ExitCode.USAGE, "seizure", "record", *FACTS, "--goods", GOODS)
    assert "sealed to position 0, not 9 yet" in inside.fails(ExitCode.USAGE, "history", unknown, "--as-of", "9")
    assert "dimension" in inside.fails(ExitCode.USAGE, "stats", "seizures", "--by", "nose")
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert "is not JSON" in inside.fails(ExitCode.BAD_INPUT, "seizure", "record", "--json-file", str(broken))
    nowhere = Inside(inside.home, "host=127.0.0.1 port=1 user=none dbname=none connect_timeout=2")
    assert "does not answer" in nowhere.fails(ExitCode.UNREACHABLE, "seizure", "record", *FACTS, "--goods", GOODS)
    failed = json.loads(inside.run("seizure", "show", unknown, "--json").stdout)
    assert failed["error"]["code"] == ExitCode.NOT_FOUND


def test_a_damaged_ledger_is_named(inside: Ncen) -> None:
    seizure = inside.does("seizure", "record", *FACTS, "--goods", GOODS, "--wait", "20").strip()
    inside.does("seizure", "submit", seizure, "--wait", "20")
    _forge(inside.database_url, seizure)
    done = inside.run("verify")
    assert done.returncode == ExitCode.NOT_VERIFIED
    assert f"position 2, entry 2 of record {seizure}" in done.stdout


def _forge(database_url: str, seizure: str) -> None:
    """Change a stored line behind the ledger's back, as only a database administrator can."""
    import psycopg

    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE ledger.entry SET node = 'XB' WHERE record_id = %s AND version = 2", [uuid.UUID(seizure)]
        )
