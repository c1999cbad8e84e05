"""The real files, through the ledger: sums that an independent query confirms to the last digit, and no row lost."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from domain.codes import Outcome
from domain.goods import Goods
from domain.seizure import SeizureRecorded
from intake.importing import import_seizures
from intake.mapping_file import read
from ledger import sealer
from ledger.ledger import Ledger, Reader
from ledger.sessions import connect
from tests.intake.conftest import BY, DATA

COLOMBIA = "colombia_2018_sample.json"
LEMIS = "lemis_1999_2015.csv.gz"
POLAND = "poland_border_guard_2024_sample.csv"
DRUGS = "cbp_drugs_fy19_fy22.csv.gz"

Sums = dict[str | None, Decimal]


def data(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"../shared/data/seizures/{name} is not here")
    return path


def recorded(database_url: str) -> Iterator[SeizureRecorded]:
    """Every seizure recorded, as anybody downstream sees it: sealed, and without the keys to what is personal."""
    with connect(database_url) as session:
        while sealer.seal_once(session):
            pass
    with Reader.open(database_url, keys=None) as reader:
        after = 0
        while entries := reader.read(after, 5_000):
            after = entries[-1].position or 0
            yield from (entry.event for entry in entries if isinstance(entry.event, SeizureRecorded))


def goods_of(database_url: str) -> list[Goods]:
    return [line.goods for event in recorded(database_url) for line in event.goods]


def sums(goods: list[Goods]) -> Sums:
    found: Sums = defaultdict(Decimal)
    for line in goods:
        if line.quantity is not None:
            found[line.quantity.unit] += line.quantity.amount
    return dict(found)


def asked(query: str, path: Path, units: dict[str, str] | None = None) -> Sums:
    rows = duckdb.connect().execute(query, [str(path)]).fetchall()
    return {units[unit] if units else unit: amount.normalize() for unit, amount in rows}


def counted(rows: str, path: Path) -> int:
    found = duckdb.connect().execute(f"SELECT count(*) FROM {rows}", [str(path)]).fetchone()
    return int(found[0]) if found else 0


def normalized(found: Sums) -> Sums:
    return {unit: amount.normalize() for unit, amount in found.items()}


def test_colombia(ledger: Ledger, database_url: str) -> None:
    path = data(COLOMBIA)
    outcome = import_seizures(ledger, path, "colombia", BY)
    assert (outcome.read, outcome.recorded, outcome.refused) == (1_000, 1_000, 0)
    query = "SELECT 'GRM', sum(cantidad::DECIMAL(38, 6)) FROM read_json(?, columns = {cantidad: 'VARCHAR'})"
    events = list(recorded(database_url))
    assert normalized(sums([line.goods for event in events for line in event.goods])) == asked(query, path)
    local = {event.place.local.code for event in events if event.place.local}
    assert all(len(code) == 8 for code in local), "the leading zero that the file lost is there again"
    assert "05101000" in local
    assert {event.place.subdivision for event in events} == {"CO-ANT", "CO-AMA", "CO-CES", "CO-VAC"}
    again = import_seizures(ledger, path, "colombia", BY)
    assert (again.unchanged, again.recorded, again.amended) == (1_000, 0, 0)


def test_lemis(ledger: Ledger, database_url: str) -> None:
    path = data(LEMIS)
    outcome = import_seizures(ledger, path, "lemis", BY)
    assert (outcome.read, outcome.recorded, outcome.refused) == (7_823, 7_823, 0)
    rows = "read_csv(?, all_varchar = true, nullstr = '~')"
    query = f"SELECT unit, sum(quantity::DECIMAL(38, 12)) FROM {rows} WHERE quantity <> '0' GROUP BY ALL"
    units = {"NO": "H87", "KG": "KGM", "GM": "GRM", "MG": "MGM", "ML": "MLT", "NA": "ZZ"}
    goods = goods_of(database_url)
    assert normalized(sums(goods)) == asked(query, path, units)
    assert sum(line.origin == "NA" for line in goods) == counted(f"{rows} WHERE country_origin = 'NA'", path) > 0
    late = outcome.flags["The day of the outcome lies before the day of the seizure."]
    assert late.rows == counted(f"{rows} WHERE disposition_date < shipment_date", path) == 535
    repeated = outcome.flags["The row repeats an earlier one of the file word for word."]
    assert repeated.rows == counted(rows, path) - counted(f"(SELECT DISTINCT * FROM {rows})", path) == 286
    seized = sum(line.outcome is Outcome.SEIZED for line in goods)
    assert seized == counted(f"{rows} WHERE disposition = 'S'", path)
    with connect(database_url) as session:
        before = session.execute("SELECT count(*) FROM ledger.entry").fetchone()
        again = import_seizures(ledger, path, "lemis", BY)
        assert (again.unchanged, again.flagged) == (7_823, outcome.flagged)
        assert session.execute("SELECT count(*) FROM ledger.entry").fetchone() == before


def test_poland(ledger: Ledger, database_url: str) -> None:
    path = data(POLAND)
    outcome = import_seizures(ledger, path, "poland", BY)
    assert (outcome.read, outcome.recorded, outcome.refused) == (30, 30, 0)
    number = "replace(replace(replace(replace({}, ' ', ''), chr(160), ''), ',', '.'), 'zł', '')"
    rows = "read_csv(?, delim = ';', all_varchar = true)"
    amount, value = number.format('"ILOŚĆ"'), number.format('"wartość"')
    query = f'SELECT trim("JEDNOSTKA MIARY"), sum(({amount})::DECIMAL(38, 6)) FROM {rows} GROUP BY ALL'
    goods = goods_of(database_url)
    assert normalized(sums(goods)) == asked(query, path, {"szt.": "H87", "kg": "KGM", "litr": "LTR"})
    worth = f"SELECT 'PLN', sum(nullif({value}, '-')::DECIMAL(38, 2)) FROM {rows}"
    told = sum((line.value.amount for line in goods if line.value), Decimal(0))
    assert {"PLN": told.normalize()} == asked(worth, path)
    assert sum(line.value is None for line in goods) == 1, "a dash is no value"
    with connect(database_url) as session:
        ids = [row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")]
    plates = [plate.number for stand in ledger.stands(ids).values() for plate in stand.state.plates]
    assert sorted(plates) == ["VF3M45GXVKS350000", "VF3MCYHZUNS110000"]


POUNDS = {
    "source": {"name": "US-CBP-DRUGS", "true_to_places": 9},
    "identity": {
        "columns": ["FY", "Month (abbv)", "Component", "Region", "Land Filter", "Area of Responsibility", "Drug Type"]
    },
    "seizure": {
        "kind": {"constant": "seizure"},
        "office": {"constant": "US-CBP"},
        "occurred_on": {"columns": ["FY", "Month (abbv)"], "formats": ["YYYY MON"], "day": "first"},
        "place": {"country": {"constant": "US"}},
    },
    "goods": {
        "section": {"constant": "drugs"},
        "quantity": {"amount": {"column": "Sum Qty (lbs)", "zero": "leave out"}, "unit": {"constant": "LBR"}},
    },
}


def test_pounds_with_sixteen_decimals_add_up_exactly(ledger: Ledger, database_url: str) -> None:
    path = data(DRUGS)
    outcome = import_seizures(ledger, path, read(POUNDS, "pounds"), BY)
    assert (outcome.read, outcome.recorded, outcome.refused) == (10_092, 10_092, 0)
    query = "SELECT 'LBR', sum(\"Sum Qty (lbs)\"::DECIMAL(38, 24)) FROM read_csv(?, all_varchar = true)"
    assert normalized(sums(goods_of(database_url))) == asked(query, path)
    again = import_seizures(ledger, path, read(POUNDS, "pounds"), BY)
    assert (again.unchanged, again.recorded + again.amended) == (outcome.recorded, 0)
