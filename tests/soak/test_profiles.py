"""Each profile of the soak in short: nothing lost, every control found; and a report that says when it is not so."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cli.main import main
from soak import crash, drive, exchange, power, privacy, tamper
from soak.report import Control, Plan, Report, Skipped, report

ROUNDS = {"crash": 3, "exchange": 2, "privacy": 10, "tamper": 11}
RUNS: dict[str, Callable[[Plan], Report]] = {
    "crash": crash.run,
    "exchange": exchange.run,
    "privacy": privacy.run,
    "tamper": tamper.run,
}
WITHIN_S = 60.0

pytestmark = pytest.mark.xdist_group("soak")  # one at a time: each has servers and workers of its own


def short(seed: int, rounds: int, said: list[str]) -> Plan:
    return Plan(seed=seed, seconds=WITHIN_S, rounds=rounds, tell=said.append)


@pytest.mark.parametrize("profile", ROUNDS)
def test_a_short_soak_loses_nothing_and_its_controls_hold(profile: str) -> None:
    said: list[str] = []
    done = RUNS[profile](short(7, ROUNDS[profile], said))
    assert done.passed, (done, said)
    assert (done.rounds, done.lost) == (ROUNDS[profile], 0)
    assert done.acknowledged > 0


def test_without_a_number_of_rounds_pairs_are_compared_until_the_time_is_up() -> None:
    done = privacy.run(Plan(seed=7, seconds=6))
    assert done.passed
    assert done.rounds > 10


def test_power_cuts_lose_nothing_and_careless_servers_lose() -> None:
    try:
        power.require()
    except Skipped as skipped:
        pytest.skip(str(skipped))
    said: list[str] = []
    done = power.run(short(7, 2, said))
    assert done.passed, (done, said)
    assert all(control.found > 0 for control in done.controls)
    assert len(done.controls) == (3 if drive.is_possible() else 2)


@pytest.mark.parametrize(
    ("lost", "controls", "passed"),
    [
        (0, [Control("must lose", 1, 3)], True),
        (1, [Control("must lose", 1, 3)], False),
        (0, [Control("must lose", 1, 0)], False),
        (0, [Control("must find nothing", 0, 1)], False),
        (0, [Control("must find all", 20, 19)], False),
    ],
)
def test_a_soak_passes_only_if_nothing_was_lost_and_every_control_holds(
    lost: int, controls: list[Control], passed: bool
) -> None:
    assert report("crash", Plan(seed=1, seconds=1), 1, (10, lost), controls).passed is passed
    assert not report("crash", Plan(seed=1, seconds=1), 1, (0, 0), controls).passed, "nothing was tried"


def test_the_verb_says_its_seed_writes_the_report_and_ends_as_it_came_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    code = main(["soak", "--profile", "tamper", "--seed", "5", "--rounds", "3", "--report", str(file), "--json"])
    told = capsys.readouterr()
    assert code == 0
    assert "seed 5" in told.err
    found = msgspec.json.decode(file.read_bytes())
    assert list(found) == ["profile", "seed", "rounds", "acknowledged", "lost", "controls", "passed"]
    assert list(found["controls"][0]) == ["name", "expected", "found"]
    assert found == msgspec.json.decode(told.out)
    assert (found["seed"], found["rounds"], found["passed"]) == (5, 3, True)


def test_a_soak_that_has_not_passed_ends_with_another_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tamper, "run", lambda plan: report("tamper", plan, 3, (3, 1), []))
    assert main(["soak", "--profile", "tamper", "--rounds", "3"]) == 1
    monkeypatch.setattr(tamper, "run", _cannot)
    assert main(["soak", "--profile", "tamper", "--rounds", "3"]) == 4


def _cannot(_: Plan) -> Report:
    raise Skipped("This machine cannot.")


def test_no_room_imports_the_soak_and_help_does_not_either() -> None:
    ask = "import sys, cli.main as m; m.main(['--help']); print([n for n in sys.modules if n.startswith('soak')])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
