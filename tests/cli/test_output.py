"""Every error becomes one exit code and one sentence, and none of them repeats what may be personal."""

import io
import json
import sys

import msgspec
import nats.errors
import psycopg
import pydantic
import pytest
from rich.text import Text

from cli import output
from cli.output import BadInput, ExitCode, Misused, NotFound, Unreachable, VerificationFailed
from domain.refused import Refused


class Line(msgspec.Struct):
    amount: int


class Row(pydantic.BaseModel):
    amount: int


def caught(action: object) -> BaseException:
    try:
        action()  # type: ignore[operator]  # each case is a callable that raises
    except BaseException as error:  # noqa: BLE001  # the error is what is tested
        return error
    raise AssertionError("nothing was raised")


def _refuse() -> None:
    raise Refused("This seizure has been cancelled.")


def _fault() -> None:
    raise RuntimeError("Zaphod Beeblebrox, born 1952")


@pytest.fixture(autouse=True)
def _as_text() -> None:
    output.manner.json = False


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("No."), ExitCode.REFUSED),
        (Misused("No."), ExitCode.USAGE),
        (NotFound("No."), ExitCode.NOT_FOUND),
        (Unreachable("No."), ExitCode.UNREACHABLE),
        (BadInput("No."), ExitCode.BAD_INPUT),
        (VerificationFailed("No."), ExitCode.NOT_VERIFIED),
        (psycopg.OperationalError("no"), ExitCode.UNREACHABLE),
        (psycopg.errors.ConnectionTimeout("no"), ExitCode.UNREACHABLE),
        (nats.errors.NoServersError(), ExitCode.UNREACHABLE),
        (msgspec.ValidationError("no"), ExitCode.BAD_INPUT),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (psycopg.errors.UniqueViolation("no"), ExitCode.FAULT),
        (ValueError("no"), ExitCode.FAULT),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert output.code_of(error) is code


def test_a_refusal_is_said_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.fail(caught(_refuse)) == 1
    said = capsys.readouterr()
    assert said.err == "ncen: This seizure has been cancelled.\n"
    assert not said.out


def test_under_json_an_error_is_an_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output.manner.json = True
    assert output.fail(caught(_refuse)) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": {"code": 1, "message": "This seizure has been cancelled."}}
    assert not said.err


@pytest.mark.parametrize(
    "action",
    [
        _fault,
        lambda: msgspec.json.decode(b'{"amount": "Zaphod"}', type=Line),
        lambda: Row.model_validate({"amount": "Zaphod"}),
        lambda: int("Zaphod"),
    ],
)
def test_no_error_repeats_the_value_it_met(action: object, capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(caught(action))
    said = capsys.readouterr()
    assert "Zaphod" not in said.err
    assert "Traceback" not in said.err


def test_a_fault_says_what_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.fail(caught(_fault)) == ExitCode.FAULT
    assert "builtins.RuntimeError at cli/test_output.py:" in capsys.readouterr().err


def test_a_traceback_is_shown_to_who_asks_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCEN_DEBUG", "1")
    output.fail(caught(_fault))
    assert "Traceback" in capsys.readouterr().err


def test_what_a_record_holds_cannot_drive_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;gone\x07\x1b[2J[red]x[/red]\u202egpj.exe"
    output.show({}, f"Marks: {hostile}", output.table("", ("marks",), [(hostile,)]))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.count("[red]x[/red]") == 2


def test_nothing_is_cut_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    output.show({}, output.table("", ("a", "b>"), [("x" * 150, "y" * 150)]))
    assert "x" * 150 in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "has_colour"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_colour_is_for_terminals_that_want_it(
    variable: str, *, has_colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.show({}, Text("ready", style="green"))
    assert ("\x1b[32m" in terminal.getvalue()) is has_colour


def test_json_is_one_line_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    output.manner.json = True
    output.show({"quantity": "2.50", "name": "Ä"})
    assert capsys.readouterr().out == '{"quantity":"2.50","name":"Ä"}\n'
