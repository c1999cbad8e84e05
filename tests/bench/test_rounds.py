"""Turns are taken in rounds, ratios are of medians, spreads are within rounds, and docs tell of whole runs only."""

import json
from pathlib import Path

import msgspec
import pytest

from bench import report
from bench.report import Details, Machine
from bench.rounds import Finding, alternate, finding


def machine() -> Machine:
    return Machine(
        day="2026-01-01",
        cores=2,
        kernel="6.1",
        python="3.11",
        server="PostgreSQL 18",
        load_before=0.1,
        load_after=2.0,
        seconds=300,
    )


def found(name: str) -> Finding:
    return finding(name, [8.0, 10.0, 12.0], [10.0, 20.0, 40.0], baseline_name="plain", unit="rows/s", target="≥ 0.4")


def test_every_side_has_one_turn_a_round_and_no_side_is_always_first() -> None:
    order: list[str] = []

    def turn(side: str) -> float:
        order.append(side)
        return float(len(order))

    measured = alternate({side: lambda side=side: turn(side) for side in "abc"}, rounds=3)  # type: ignore[misc]  # a default binds the loop's value
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert measured == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_the_ratio_is_of_the_medians_and_the_spread_is_within_rounds() -> None:
    row = found("append-1").row
    assert (row.ours, row.baseline, row.ratio, row.runs) == (10.0, 20.0, 0.5, 3)
    assert found("append-1").spread == (0.3, 0.5, 0.8)


def test_a_target_that_was_not_measured_stands_against_every_turn() -> None:
    one = finding("seal-target", [10.0, 30.0], [20.0], baseline_name="target", unit="entries/s")
    assert one.spread == (0.5, 1.0, 1.5)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Benchmarks\n\n{report.BEGIN}\nold\n{report.END}\n\nthe end\n")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "OUT", tmp_path / "out")
    monkeypatch.setattr(report, "PAGE", page)
    return tmp_path


def test_latest_json_holds_rows_with_exactly_the_promised_fields(out: Path) -> None:
    report.write(Details(machine=machine(), findings=(found("append-1"),), skipped=("Emmett: it runs on Node.js",)))
    rows = json.loads((out / "out" / "latest.json").read_text())
    assert rows == [
        {
            "name": "append-1",
            "ours": 10.0,
            "baseline": 20.0,
            "baseline_name": "plain",
            "ratio": 0.5,
            "unit": "rows/s",
            "runs": 3,
        }
    ]


def test_docs_are_written_between_the_marks_and_tell_what_was_not_measured(out: Path) -> None:
    report.write(Details(machine=machine(), findings=(found("append-1"),), skipped=("Emmett: it runs on Node.js",)))
    report.write_docs(["append-1"])
    page = (out / "benchmarks.md").read_text()
    assert "| `append-1` | 10.0 | 20.0 | rows/s | 0.50 | 0.30-0.80 of 3 | ≥ 0.4 | plain |" in page
    assert "Not measured: Emmett: it runs on Node.js." in page
    assert "old" not in page
    assert page.startswith("# Benchmarks")
    assert page.endswith("the end\n")


def test_docs_refuse_a_run_in_which_a_row_is_missing(out: Path) -> None:
    report.write(Details(machine=machine(), findings=(found("append-1"),), skipped=()))
    with pytest.raises(SystemExit, match="did not measure replay"):
        report.write_docs(["append-1", "replay"])
    assert "old" in (out / "benchmarks.md").read_text()


def test_docs_refuse_when_nothing_was_run(out: Path) -> None:
    assert not (out / "out").exists()
    with pytest.raises(SystemExit, match="no run"):
        report.write_docs(["append-1"])


def test_rows_can_be_read_back() -> None:
    row = found("append-1").row
    assert msgspec.json.decode(msgspec.json.encode(row), type=type(row)) == row
