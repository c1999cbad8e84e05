"""`ncen vault scan`: ends with 0, 6 or 1, tells places and offsets, and repeats no value on any stream."""

import json
from pathlib import Path

import pytest

from cli.output import ExitCode
from tests.cli.node import Inside

VALUES = "Xaverius Quackenbosch\n\nPASSZQ4711Q\n"


@pytest.fixture
def ncen(tmp_path: Path) -> Inside:
    """A home without servers; the verb asks no database but that of a node's own PostgreSQL."""
    (tmp_path / "home" / "log").mkdir(parents=True)
    return Inside(tmp_path / "home", "postgresql://nowhere.invalid/none")


def test_nothing_is_found_where_nothing_is(ncen: Inside) -> None:
    (ncen.home / "log" / "seal.log").write_text("sealed 12 entries")
    assert "No residue in 1 files" in ncen.does("vault", "scan", "-", text=VALUES)


def test_what_is_found_is_told_by_its_place_alone(ncen: Inside, tmp_path: Path) -> None:
    (ncen.home / "log" / "seal.log").write_text("no entry for passzq4711q")
    (tmp_path / "dump.sql").write_text("...\nXaverius Quackenbosch\n")
    (ncen.home / "values").write_text(VALUES)
    line = ("vault", "scan", str(ncen.home / "values"), "--also", str(tmp_path / "dump.sql"))
    for how in ((), ("--json",)):
        done = ncen.run(*line, *how)
        assert done.returncode == ExitCode.NOT_VERIFIED
        assert "quackenbosch" not in (done.stdout + done.stderr).lower()
    told = json.loads(done.stdout)
    assert {(Path(one["place"]).name, one["offset"], one["value"]) for one in told["found"]} == {
        ("seal.log", 13, 2),
        ("dump.sql", 4, 1),
    }, "the file of values itself is left out"


def test_what_could_not_be_read_is_no_success(ncen: Inside, tmp_path: Path) -> None:
    done = ncen.run("vault", "scan", "-", "--also", str(tmp_path / "gone"), text=VALUES)
    assert done.returncode == ExitCode.REFUSED
    assert "NOT LOOKED THROUGH" in done.stdout


@pytest.mark.parametrize(("text", "said"), [("Li\n", "Value 1 is too short"), ("\n", "There is no value")])
def test_values_that_tell_nobody_from_anybody_are_refused(ncen: Inside, text: str, said: str) -> None:
    assert said in ncen.fails(ExitCode.USAGE, "vault", "scan", "-", text=text)
