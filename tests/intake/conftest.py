"""A ledger to import into, and a register small enough to read at a glance."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.attribution import Attribution, Purpose, Role
from intake.importing import Foreseen, Outcome, import_seizures
from ledger.ledger import Ledger
from ledger.sessions import connect

DATA = Path(__file__).parents[3] / "shared" / "data" / "seizures"
BY = Attribution(actor="dm-1", role=Role.DATA_MANAGER, purpose=Purpose.STATISTICS, legal_basis="XA:CUSTOMS-ACT")

REGISTER = """
[source]
name = "XA-REGISTER"
true_to_places = 6

[file]
missing = ["-"]

[identity]
columns = ["number"]

[seizure]
kind = { constant = "seizure" }
office = "office"
occurred_on = { column = "day", formats = ["YYYY-MM-DD", "DD.MM.YYYY"] }
place.country = { constant = "PT" }
direction = { column = "way", values = { "in" = "import", "out" = "export" } }

[goods]
section = { column = "what", values = { "cocaine" = "drugs", "cigarettes" = "tobacco" } }
substance = { column = "what", list = "SUBSTANCE", edition = "2026" }
quantity.amount = "amount"
quantity.unit = { column = "unit", values = { "kg" = "KGM", "lbs" = "LBR", "pcs" = "H87" } }

[personal]
narrative = "words"
"""
HEADER = "number,office,day,way,what,amount,unit,words"
ROWS = (
    "1,XAPORT,2024-05-01,in,cocaine,2.5,kg,hidden in the lining",
    "2,XAPORT,2024-05-02,out,cigarettes,400,pcs,-",
    "3,XAEAST,2024-05-03,in,cocaine,2077.902212529746,lbs,",
)

Imported = Callable[..., Outcome]


def text_of(*rows: str, header: str = HEADER) -> str:
    return "\n".join((header, *rows, ""))


@pytest.fixture
def ledger(database_url: str, tmp_path: Path) -> Iterator[Ledger]:
    """Open a ledger of the node XA."""
    with Ledger.open(database_url, node="XA", keys=tmp_path / "keys") as opened:
        yield opened


@pytest.fixture
def imported(ledger: Ledger, tmp_path: Path) -> Imported:
    """Import a text by a mapping, both written into files first."""

    def run(
        text: str | bytes,
        mapping: str = REGISTER,
        *,
        name: str = "file.csv",
        dry_run: bool = False,
        on_foreseen: Callable[[Foreseen], None] | None = None,
    ) -> Outcome:
        file, told = tmp_path / name, tmp_path / "mapping.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        told.write_text(mapping, encoding="utf-8")
        return import_seizures(ledger, file, told, BY, dry_run=dry_run, on_foreseen=on_foreseen)

    return run


@pytest.fixture
def events(database_url: str, ledger: Ledger) -> Callable[[], list[str]]:
    """Give the wire names of everything recorded, in the order of recording."""
    assert ledger.node

    def names() -> list[str]:
        with connect(database_url) as session:
            return [row[0] for row in session.execute("SELECT name FROM ledger.entry ORDER BY xid, ordinal")]

    return names
