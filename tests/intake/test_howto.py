"""The how-to does what it says: its file, by its mapping, comes to what the page tells."""

import re
from decimal import Decimal
from pathlib import Path

from domain.codes import DocumentKind, Qualifier
from domain.seizure import Seizure
from intake.importing import import_seizures
from intake.keys import Ids
from ledger.ledger import Ledger
from tests.intake.conftest import BY

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "import-mappings.md"
BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def written(folder: Path) -> tuple[Path, Path]:
    """Write the file and the mapping that the page tells, part by part."""
    parts: dict[str, str] = {}
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        parts[name] = parts.get(name, "") + text + "\n"
    for name, text in parts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "register.csv", folder / "register.toml"


def test_the_example_is_imported_as_the_page_says(ledger: Ledger, tmp_path: Path) -> None:
    file, mapping = written(tmp_path)
    outcome = import_seizures(ledger, file, mapping, BY)
    assert outcome.told() | {"refusals": []} == {
        "read": 6,
        "recorded": 4,
        "amended": 0,
        "unchanged": 0,
        "flagged": 1,
        "skipped": 1,
        "refused": 1,
        "refusals": [],
    }
    [refusal] = outcome.refusals
    assert (refusal.line, refusal.field) == (7, "section")
    assert "“Surfboards”" in refusal.reason

    def seizure(case: str) -> Seizure:
        key = b"shipment" + len(case).to_bytes(4, "big") + case.encode()
        state = ledger.state(Ids(ledger.intake_key, "XA-REGISTER").record(key, 1), "seizure")
        assert isinstance(state, Seizure)
        return state

    first, second, third = (seizure(f"2024/00{number}") for number in (1, 2, 3))
    [line] = first.goods
    assert line.goods.quantity is not None
    assert (line.goods.quantity.amount, line.goods.quantity.written) == (Decimal("1250.5"), "1 250,500")
    assert line.goods.value is not None
    assert line.goods.value.amount == 2_000_000
    assert [(document.kind, document.number) for document in first.documents] == [
        (DocumentKind.CONTAINER, "MSCU6639870")
    ]
    assert [line.goods.origin for line in second.goods] == ["NA", "ET"], "Namibia is a country"
    assert second.narrative == "Second suitcase\nSuitcase of a passenger"
    assert [plate.number for plate in third.plates] == ["VF3M45GXVKS350000"]
    assert third.goods[0].goods.quantity is not None
    assert third.goods[0].goods.quantity.qualifier is Qualifier.MEASURED
    again = import_seizures(ledger, file, mapping, BY)
    assert (again.unchanged, again.recorded, again.amended) == (4, 0, 0)


def test_the_page_tells_what_to_do_about_what_the_importer_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for words in ("no column", "holds bytes that are not utf-8", "cells where the header has", "has no value"):
        assert words in page
