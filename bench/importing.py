"""What importing costs: a generated CSV file, mapped, checked and recorded, beside reading it and copying it as text.

The file is made of the invented seizures: eighteen columns, a number of its own for each row, an account in words
(which is sealed) in every second one. The baseline is what a script would do that trusts its file: csv.DictReader and
COPY into a table of text columns. The second time, the same file is found unchanged and nothing is written.
"""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from bench.facts import BY, NODE, seizures
from bench.ours import sealing
from bench.rounds import Finding, alternate, finding
from bench.server import Server
from domain.seizure import RecordSeizure
from intake import mapping_file
from intake.importing import import_seizures
from intake.mapping import Mapping
from ledger.ledger import Ledger

NAMES = ("import", "import-target", "import-again")
ROWS = 20_000
TARGET = 3_000.0
AGAIN = 2
"""In so many rounds the same file is imported a second time."""
COLUMNS = (
    *("number", "office", "day", "country", "subdivision", "direction", "detection", "conveyance", "section", "hs"),
    *("substance", "origin", "amount", "unit", "value", "currency", "outcome", "account"),
)
MAPPING = """
[source]
name = "XA-BENCH"

[file]
format = "csv"
delimiter = ","
encoding = "utf-8"

[identity]
columns = ["number"]

[seizure]
kind = { constant = "seizure" }
office = "office"
occurred_on = "day"
direction = "direction"
detection = "detection"
conveyance = "conveyance"

[seizure.place]
country = "country"
subdivision = "subdivision"

[goods]
section = "section"
hs = { column = "hs", edition = "2022" }
substance = { column = "substance", list = "SUBSTANCE", edition = "2026" }
origin = "origin"
outcome = "outcome"

[goods.quantity]
amount = "amount"
unit = "unit"

[goods.value]
amount = { column = "value", zero = "leave out" }
currency = "currency"

[personal]
narrative = "account"
"""


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Import the file into fresh ledgers."""
    if not wanted & set(NAMES):
        return
    file, told = server.folder / "seizures.csv", server.folder / "mapping.toml"
    _write(file)
    told.write_text(MAPPING, encoding="utf-8")
    mapping = mapping_file.load(told)
    again: list[float] = []

    def ours() -> float:
        place = server.place("import")
        with Ledger.open(place.url, node=NODE, keys=Path(place.folder)) as ledger, sealing(place) as drain:
            server.settle()
            first = _imported(ledger, file, mapping, recorded=ROWS)
            if "import-again" in wanted and len(again) < AGAIN:
                again.append(_imported(ledger, file, mapping, recorded=0))
            drain()
        server.drop(place)
        return first

    def bare() -> float:
        place = server.place("copied")
        server.settle()
        rate = _copied(place.url, file)
        server.drop(place)
        return rate

    measured = alternate({"ours": ours, "bare": bare}, rounds)
    note = f"{ROWS:,} rows of {len(COLUMNS)} columns, every second one with an account in words"
    found = (
        finding(
            "import",
            measured["ours"],
            measured["bare"],
            baseline_name="csv.DictReader and COPY of the text",
            unit="rows/s",
            note=note,
        ),
        finding(
            "import-target",
            measured["ours"],
            [TARGET],
            baseline_name="target 3,000/s",
            unit="rows/s",
            target="≥ 1",
        ),
        finding(
            "import-again",
            again or measured["ours"],
            measured["bare"][: len(again) or rounds],
            baseline_name="csv.DictReader and COPY of the text",
            unit="rows/s",
            note="the same file again: all rows are found unchanged, nothing is written",
        ),
    )
    yield from (one for one in found if one.row.name in wanted)


def _imported(ledger: Ledger, file: Path, mapping: Mapping, *, recorded: int) -> float:
    began = time.perf_counter()
    outcome = import_seizures(ledger, file, mapping, BY)
    took = time.perf_counter() - began
    assert (outcome.read, outcome.recorded, outcome.refused) == (ROWS, recorded, 0), outcome
    return ROWS / took


def _copied(url: str, file: Path) -> float:
    names = sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS)
    with psycopg.connect(url, autocommit=True) as connection:
        columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in COLUMNS)
        connection.execute(sql.SQL("CREATE TABLE copied ({})").format(columns))
        statement = sql.SQL("COPY copied ({}) FROM STDIN").format(names)
        began = time.perf_counter()
        with (
            file.open(encoding="utf-8", newline="") as source,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in csv.DictReader(source):
                copy.write_row([row[name] for name in COLUMNS])
        return ROWS / (time.perf_counter() - began)


def _write(file: Path) -> None:
    told = seizures()
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        for number in range(ROWS):
            writer.writerow(_row(number, told[number % len(told)]))


def _row(number: int, seizure: RecordSeizure) -> list[object]:
    goods = seizure.goods[0]
    assert goods.hs is not None
    assert goods.substance is not None
    assert goods.quantity is not None
    return [
        f"XA-{number:06d}",
        seizure.office,
        seizure.occurred_on.isoformat(),
        seizure.place.country,
        seizure.place.subdivision,
        seizure.direction,
        seizure.detection,
        seizure.conveyance,
        goods.section,
        goods.hs.digits,
        goods.substance.code,
        goods.origin,
        goods.quantity.amount,
        goods.quantity.unit,
        goods.value.amount if goods.value else "",
        goods.value.currency if goods.value else "",
        goods.outcome,
        f"Seizure {number}: found behind a false wall; no statement was made." if number % 2 else "",
    ]
