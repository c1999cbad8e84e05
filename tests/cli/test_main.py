"""The command line: it answers at once, helps, completes, and ends with the documented codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main as command
from cli import output

VERBS = ("up", "down", "status", "work", "completion")
HEAVY = ("psycopg", "pydantic", "structlog", "eventsourcing", "nats", "msgspec", "cryptography")


def ncen(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**environment, **variables},
    )


def test_help_lists_every_verb_and_what_holds_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for word in (*VERBS, "--json", "--as", "--home", "--version", "--install-completion"):
        assert word in shown


def test_no_word_at_all_is_answered_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    assert "Usage: ncen" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: ncen {verb}" in shown
    assert "--json" in shown


def test_help_imports_nothing_heavy() -> None:
    ask = f"import sys, cli.main as m; m.main(['--help']); print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("status", "json", "nats-listen"):
        assert word in script


@pytest.mark.parametrize(
    "words",
    [
        "sttaus",
        "work",
        "work sleep",
        "status --colour",
        "status Zaphod",
        "up --role Zaphod",
        "up --nats-listen",
        "Zaphod",
    ],
)
def test_a_line_that_makes_no_sense_ends_with_2_and_repeats_nothing(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = words.split()
    assert command.main(line) == 2
    said = capsys.readouterr()
    assert said.err.startswith("ncen: ")
    assert "Zaphod" not in said.err
    assert command.main([*line, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 2


def test_a_slip_is_answered_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["sttaus"])
    assert 'Did you mean "status"?' in capsys.readouterr().err


def test_a_wrong_environment_is_a_usage_error(tmp_path: Path) -> None:
    done = ncen("status", NCEN_HOME=str(tmp_path), NCEN_NODE="france")
    assert done.returncode == 2
    assert done.stderr.startswith("ncen: NCEN_NODE: a node's name is")


def test_a_node_that_is_not_up_shows_itself_and_ends_with_4(tmp_path: Path) -> None:
    home = tmp_path / "none"
    done = ncen("--json", "--home", str(home), "status")
    facts = json.loads(done.stdout)
    assert done.returncode == 4
    assert facts["home"] == str(home)
    assert facts["postgres"] == {"own": True, "running": False, "version": None}
    assert not home.exists()


def test_taking_down_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    done = ncen("down", "--home", str(tmp_path / "none"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_database_that_does_not_answer_is_named_without_its_address(tmp_path: Path) -> None:
    done = ncen("up", NCEN_HOME=str(tmp_path / "h"), NCEN_DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/d")
    assert done.returncode == 4
    assert "PostgreSQL does not answer" in done.stderr
    assert "hidden" not in done.stderr + "".join(path.read_text() for path in (tmp_path / "h" / "log").iterdir())


def test_who_acts_and_json_stand_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--as", "anna", "completion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shell"] == "bash"
    assert output.manner.user == "anna"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == command.version()
