"""Figures are exact, never mix units, and come out the same for ever at the position they were given for."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.codes import Outcome, Reason, Section
from domain.place import Place
from domain.seizure import CancelSeizure, CorrectGoods, CorrectSeizure, WithdrawGoods
from projections.asking import NotReady, Unanswerable
from projections.statistics import ALL_NODES, Statistics, plain, seizure_statistics
from tests.projections.conftest import Node, deliver
from tests.projections.histories import AMOUNTS
from tests.projections.invented import goods, seizure, substance


def ask(node: Node, *by: str, **told: Any) -> Statistics:  # noqa: ANN401  # whatever the question takes
    with psycopg.connect(node.database_url) as connection:
        return seizure_statistics(connection, by, **told)


def figures(node: Node, *by: str, **told: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  # whatever the question takes
    return [tuple(row.values()) for row in ask(node, *by, **told).rows]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shipments=st.lists(
        st.lists(st.tuples(AMOUNTS, st.sampled_from(["KGM", "LTR"]), st.sampled_from(Section)), min_size=1, max_size=4),
        min_size=1,
        max_size=12,
    )
)
def test_sums_of_sixteen_decimals_are_those_of_two_independent_reckonings(
    node: Node, shipments: Sequence[Sequence[tuple[str, str, Section]]]
) -> None:
    before = node.project()
    rows = []
    for shipment in shipments:
        record_id = node.do(seizure(*(goods(*line) for line in shipment), office=f"E{before}"))
        rows += [(str(record_id), amount, unit, section.value) for amount, unit, section in shipment]
    node.project()
    told = {
        (row["section"], row["unit"]): (row["quantity"], row["seizures"], row["lines"])
        for row in ask(node, "section", where={"office": f"E{before}"}).rows
    }
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for _, amount, unit, section in rows:
        sums[section, unit] += Decimal(amount)
    assert {key: Decimal(quantity) for key, (quantity, _, _) in told.items()} == sums
    with duckdb.connect() as other:
        other.execute("CREATE TABLE line (record_id TEXT, amount DECIMAL(38, 16), unit TEXT, section TEXT)")
        other.executemany("INSERT INTO line VALUES (?, ?, ?, ?)", rows)
        expected = other.execute(
            "SELECT section, unit, sum(amount), count(DISTINCT record_id), count(*) FROM line GROUP BY ALL"
        ).fetchall()
    assert told == {(section, unit): (plain(total), n, m) for section, unit, total, n, m in expected}


@pytest.mark.parametrize(
    ("amount", "spelled"),
    [
        ("1E+3", "1000"),
        ("2077.9022125297456", "2077.9022125297456"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("1.000", "1"),
        ("0", "0"),
        ("1E-20", "0.00000000000000000001"),
    ],
)
def test_one_number_has_one_spelling(amount: str, spelled: str) -> None:
    assert plain(Decimal(amount)) == spelled


def test_dimensions(node: Node) -> None:
    cocaine = substance("COCAINE")
    node.do(
        seizure(
            goods("1.5", substance=cocaine, origin="CO", outcome=Outcome.DESTROYED),
            goods("3", "LTR", Section.ALCOHOL),
            goods(None, section=Section.OTHER),
            place=Place(country="XA", subdivision="XA-05"),
        )
    )
    node.do(seizure(goods("0.5", substance=cocaine), occurred_on=date(2023, 2, 1), office="XA02"))
    node.project()
    assert figures(node, "section") == [
        ("alcohol", "LTR", "3", 1, 1),
        ("drugs", "KGM", "2", 2, 2),
        ("other", None, None, 1, 1),
    ]
    assert figures(node, "year", "office", where={"section": "drugs"}) == [
        ("2023", "XA02", "KGM", "0.5", 1, 1),
        ("2024", "XA01", "KGM", "1.5", 1, 1),
    ]
    assert figures(node, "month", where={"unit": "kgm"}) == [
        ("2023-02", "KGM", "0.5", 1, 1),
        ("2024-05", "KGM", "1.5", 1, 1),
    ]
    assert figures(node, "substance", "origin", "outcome", where={"section": "drugs"}) == [
        ("COCAINE", "CO", "destroyed", "KGM", "1.5", 1, 1),
        ("COCAINE", None, None, "KGM", "0.5", 1, 1),
    ]
    assert figures(node, "country", "subdivision", where={"section": "drugs"}) == [
        ("XA", "XA-05", "KGM", "1.5", 1, 1),
        ("XA", None, "KGM", "0.5", 1, 1),
    ]
    assert figures(node) == figures(node, "unit") == [("KGM", "2", 2, 2), ("LTR", "3", 1, 1), (None, None, 1, 1)]
    assert list(ask(node, "unit", "year").rows[0]) == ["year", "unit", "quantity", "seizures", "lines"]


def test_two_lists_that_use_one_code_are_told_apart(node: Node) -> None:
    node.do(seizure(goods("1", substance=substance("17", of="ICD")), goods("2", substance=substance("17", of="DEA"))))
    node.do(seizure(goods("4", substance=substance("18", of="DEA"))))
    node.project()
    assert figures(node, "substance") == [
        ("18", "KGM", "4", 1, 1),
        ("DEA:17", "KGM", "2", 1, 1),
        ("ICD:17", "KGM", "1", 1, 1),
    ]


def test_what_was_said_of_a_position_is_said_for_ever(node: Node) -> None:
    first = node.do(seizure(goods("10"), goods("5", "LTR")))
    node.do(seizure(goods("2.5")))
    node.project()
    said = []

    def note() -> None:
        position = node.project()
        said.append((position, figures(node, "section", "month")))

    note()
    for command in (
        CorrectGoods(line=1, goods=goods("11"), reason=Reason.RECOUNT),
        CorrectSeizure(reason=Reason.ENTRY_ERROR, occurred_on=date(2024, 1, 2)),
        WithdrawGoods(line=2, reason=Reason.ENTRY_ERROR),
        CancelSeizure(reason=Reason.DUPLICATE),
    ):
        node.do(command, first)
        note()
    assert said[-1][1] == [("drugs", "2024-05", "KGM", "2.5", 1, 1)], "a cancelled seizure counts no longer"
    assert len({str(rows) for _, rows in said}) == len(said), "each of these changes moves the figures"
    for position, rows in said:
        assert ask(node, "section", "month", as_of=position).position == position
        assert figures(node, "section", "month", as_of=position) == rows
    node.rebuild()
    for position, rows in said:
        assert figures(node, "section", "month", as_of=position) == rows
    assert figures(node, as_of=0) == []
    assert figures(node, where={"status": "cancelled"}) == [("KGM", "11", 1, 1)]


def test_what_peers_sent_counts_only_when_asked_for(node: Node, peer: Node) -> None:
    node.do(seizure(goods("1")))
    peer.do(seizure(goods("20"), office="YB01"))
    deliver(peer, node)
    node.project()
    assert figures(node) == [("KGM", "1", 1, 1)]
    assert figures(node, nodes=ALL_NODES) == [("KGM", "21", 2, 2)]
    assert figures(node, nodes=["YB"]) == figures(node, where={"node": "YB"}) == [("KGM", "20", 1, 1)]
    assert figures(node, "office", nodes=["XA", "YB"]) == [("XA01", "KGM", "1", 1, 1), ("YB01", "KGM", "20", 1, 1)]


def test_filters_of_one_line_and_of_days(node: Node) -> None:
    node.do(seizure(goods("1", substance=substance("A")), goods("2", section=Section.TOBACCO)))
    node.do(seizure(goods("4", substance=substance("B")), occurred_on=date(2024, 6, 1)))
    node.project()
    assert figures(node, where={"substance": ["A", "B"]}) == [("KGM", "5", 2, 2)]
    assert figures(node, where={"since": "2024-06-01"}) == [("KGM", "4", 1, 1)]
    assert figures(node, where={"until": "2024-05-31"}) == [("KGM", "3", 1, 2)]
    assert figures(node, where={"month": "2024-06", "year": "2024"}) == [("KGM", "4", 1, 1)]


@pytest.mark.parametrize(
    ("by", "told", "said"),
    [
        (["colour"], {}, "no dimension 'colour'"),
        (["year"], {"where": {"colour": "red"}}, "no field 'colour'"),
        (["year"], {"where": {"section": "drug"}}, "section is one of drugs, tobacco"),
        (["year"], {"where": {"since": "yesterday"}}, "since is a day such as"),
        (["year"], {"where": {"hs": "24'; DROP"}}, "hs is the first digits"),
        (["year"], {"where": {"section": []}}, "without a value"),
        (["year"], {"as_of": 99}, "have reached position 1 of the ledger, not 99 yet"),
        (["year"], {"as_of": -1}, "a whole number from 0 on"),
    ],
)
def test_what_cannot_be_answered_is_said(node: Node, by: list[str], told: dict[str, Any], said: str) -> None:
    node.do(seizure())
    node.project()
    with pytest.raises(Unanswerable, match=said):
        ask(node, *by, **told)


def test_before_the_first_projector_there_is_nothing_to_ask(node: Node) -> None:
    with pytest.raises(NotReady, match="ask again"):
        ask(node, "year")


def test_a_snapshot_is_not_taken_in_the_middle_of_something(node: Node) -> None:
    node.project()
    with psycopg.connect(node.database_url) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(RuntimeError, match="without a transaction"):
            seizure_statistics(connection, ["year"])
