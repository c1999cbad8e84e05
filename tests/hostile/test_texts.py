"""Naughty strings, formulas and the JSON suite: kept as they are where they are text, refused where they are none."""

import json
from pathlib import Path

import msgspec
import pytest

from cli.asking import from_file
from cli.output import CONTROL, BadInput, visible
from domain import forms
from domain.codes import Line, OfficeCode, Text
from domain.seizure import RecordSeizure
from intake.files import opened
from intake.mapping import File
from intake.rows import Unreadable
from tests.cli.node import Inside
from tests.intake.conftest import HEADER, Imported, imported, ledger

__all__ = ["imported", "ledger"]

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors"
FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(1+1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "\t=1+1", "\uff1d1+1",
    '=IMPORTXML("http://x")', '=DDE("cmd";"/C calc";"1")', '=WEBSERVICE("http://x")', ";=1+1", "%0A=1+1",
)  # fmt: skip
"""What a spreadsheet would carry out if it met it in a cell of a CSV."""


def naughty() -> list[str]:
    """The big list of naughty strings."""
    path = VECTORS / "blns.json"
    if not path.exists():
        pytest.skip(f"the naughty strings are not here: {path}")
    found: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def fits(text: str, kind: object) -> bool:
    """Whether a text has the form of its field."""
    try:
        forms.convert(text, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return False
    return True


def test_a_naughty_string_is_text_or_refused_and_never_a_code() -> None:
    strings = naughty()
    accepted = [text for text in strings if fits(text, Text)]
    assert len(strings) > 400
    assert len(accepted) > 0.9 * len(strings), "odd words are words"
    assert not any(CONTROL.search(text) for text in accepted)
    assert all((text and CONTROL.search(text)) or not text or "\ufeff" in text for text in set(strings) - set(accepted))
    assert not any(fits(text, OfficeCode) for text in strings if not text.isalnum() and "-" not in text)
    assert not any(CONTROL.search(visible(text)) for text in strings)


def test_naughty_strings_and_formulas_are_kept_letter_by_letter(
    imported: Imported, database_url: str, tmp_path: Path
) -> None:
    texts = [text for text in (*naughty(), *FORMULAS) if fits(text.strip(), Line) and "\r" not in text]
    quoted = [text.replace('"', '""') for text in texts]
    rows = [f'{number},XAPORT,2024-05-01,in,cocaine,1,kg,"{text}"' for number, text in enumerate(quoted)]
    outcome = imported("\n".join((HEADER, *rows, "")))
    assert outcome.refused == 0
    node = Inside(tmp_path, database_url)
    node.home.joinpath("keys").exists()
    told = json.loads(node.does("import", "mappings", "--json"))
    assert told
    from ledger.ledger import Ledger
    from ledger.sessions import connect

    with connect(database_url) as session, Ledger.open(database_url, node="XA", keys=tmp_path / "keys") as opened_again:
        ids = [row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")]
        kept = {
            getattr(entry.event, "text", None) for record_id in ids for entry in opened_again.entries(record_id)
        } - {None}
    wanted = {" ".join(text.split()) for text in texts if text.strip() != "-"}
    assert {" ".join(str(text).split()) for text in kept} == wanted


def test_what_is_printed_of_a_formula_is_text_and_no_cell(capsys: pytest.CaptureFixture[str]) -> None:
    from cli import output

    output.manner.json = True
    output.show({"texts": FORMULAS})
    assert json.loads(capsys.readouterr().out) == {"texts": list(FORMULAS)}
    output.manner.json = False
    output.show(None, output.table("", ("words",), [[text] for text in (*FORMULAS, "\x1b[2J\u202e")]))
    printed = capsys.readouterr().out
    assert not CONTROL.search(printed)
    assert all(text.strip() in printed for text in FORMULAS)


def test_the_json_suite_is_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    files = sorted((VECTORS / "jsontestsuite").rglob("*.json"))
    if not files:
        pytest.skip(f"the JSON suite is not here: {VECTORS / 'jsontestsuite'}")
    assert len(files) > 200
    for file in files:
        with pytest.raises(BadInput) as refused:
            from_file(str(file), RecordSeizure)
        assert not CONTROL.search(visible(str(refused.value))), file.name
    for number, file in enumerate(files):
        given = tmp_path / f"{number}.jsonl"
        given.write_bytes(file.read_bytes())
        try:
            with opened(given, File(), frozenset()) as rows:
                found = list(rows)
        except Unreadable:
            continue
        assert file.name[0] != "n" or all(row.problem for row in found), file.name
