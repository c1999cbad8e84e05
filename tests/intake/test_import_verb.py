"""The verb: what it prints, how it ends, and that it says nothing it should not."""

import io
import json
from pathlib import Path

import pytest

from cli.main import main
from ledger.sessions import connect
from tests.intake.conftest import HEADER, REGISTER, ROWS, text_of

SHAPE = {"read", "recorded", "amended", "unchanged", "flagged", "skipped", "refused", "refusals"}


@pytest.fixture
def file(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a node on the test's database, and the register as a file in the working folder."""
    monkeypatch.setenv("NCEN_DATABASE_URL", database_url)
    monkeypatch.setenv("NCEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCEN_NODE", "XA")
    monkeypatch.setenv("NCEN_USER", "dm-1")
    monkeypatch.chdir(tmp_path)
    Path("m.toml").write_text(REGISTER, encoding="utf-8")
    path = Path("file.csv")
    path.write_text(text_of(*ROWS), encoding="utf-8")
    return path


def entries(database_url: str) -> int:
    with connect(database_url) as session:
        found = session.execute("SELECT count(*) FROM ledger.entry").fetchone()
    return int(found[0]) if found else 0


def test_json_is_exactly_what_is_promised(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(text_of(*ROWS, "4,XAPORT,2024-05-03,in,cocaine,much,kg,Amina"), encoding="utf-8")
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml", "--json"]) == 1
    told = json.loads(capfd.readouterr().out)
    assert set(told) == SHAPE
    reason = "“much” in the column `amount` is not a number with `.` for the decimals."
    assert told["refusals"] == [{"line": 5, "field": "quantity.amount", "reason": reason}]
    assert {name: told[name] for name in ("read", "recorded", "refused")} == {"read": 4, "recorded": 3, "refused": 1}


def test_it_ends_with_0_when_nothing_was_refused_also_the_second_time(
    file: Path, capfd: pytest.CaptureFixture[str], database_url: str
) -> None:
    assert file.exists()
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml"]) == 0
    before = entries(database_url)
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml"]) == 0
    assert "unchanged" in capfd.readouterr().out
    assert entries(database_url) == before > 0


def test_a_dry_run_is_told_line_by_line_without_what_is_personal(
    file: Path, capfd: pytest.CaptureFixture[str], database_url: str
) -> None:
    main(["import", "seizures", "file.csv", "--mapping", "m.toml"])
    before = entries(database_url)
    changed = ROWS[0].replace(",2.5,", ",3,").replace("lining", "boot")
    file.write_text(text_of(changed, *ROWS[1:], "4,XAPORT,2024-05-03,in,cocaine,1,kg,"), encoding="utf-8")
    capfd.readouterr()
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml", "--dry-run"]) == 0
    said = capfd.readouterr().out
    assert entries(database_url) == before
    for words in (
        "line 2: would amend",
        "goods.1.quantity: 2.5 ",
        "→ 3 ",
        "narrative: (personal)",
        "line 5: would record",
    ):
        assert words in said
    assert "boot" not in said
    assert "lining" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.csv", "--mapping", "m.toml"], "gone.csv: It cannot be read"),
        (["file.csv", "--mapping", "gone.toml"], "one of colombia, lemis, poland"),
        (["file.csv", "--mapping", "bad.toml"], "bad.toml: [source] needs `name`"),
        (["file.csv", "--mapping", "lemis"], "no column `disposition`"),
    ],
)
def test_a_file_or_mapping_that_cannot_be_used_ends_with_5_and_a_sentence(
    file: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert file.exists()
    Path("bad.toml").write_text("[source]\n", encoding="utf-8")
    assert main(["import", "seizures", *arguments]) == 5
    said = capfd.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_file_without_a_header_is_refused_without_showing_its_first_row(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("1,XAPORT,2024-05-01,in,cocaine,2,kg,Amina Example\n", encoding="utf-8")
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml"]) == 5
    assert "Amina" not in capfd.readouterr().err


def test_standard_input_can_be_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert main(["import", "seizures", "-", "--mapping", "m.toml", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["recorded"] == 3


def test_a_check_that_does_not_hold_ends_with_1_and_writes_nothing(
    file: Path, capfd: pytest.CaptureFixture[str], database_url: str
) -> None:
    assert HEADER in file.read_text(encoding="utf-8")
    Path("m.toml").write_text(REGISTER + "\n[[check]]\nname = 'rows'\nrows = 4\n", encoding="utf-8")
    assert main(["import", "seizures", "file.csv", "--mapping", "m.toml"]) == 1
    assert "3 rows where 4 are expected" in capfd.readouterr().out
    assert entries(database_url) == 0


def test_the_mappings_that_ship_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "mappings", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert [one["name"] for one in listed] == ["colombia", "lemis", "poland"]
    assert all(Path(one["path"]).exists() for one in listed)
