"""Every verb is found, explained, documented, and speaks JSON; the reference page has not drifted from the command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from cli.main import app, main
from cli.manual import MEANINGS, markdown
from cli.output import ExitCode

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
NODE = {"up", "down", "status", "work", "completion"}
RECORDS = {"seizure", "offence", "person", "business", "premise", "peer", "feed", "cen"}
READING = {"history", "search", "stats", "verify"}
PROMISED = NODE | RECORDS | READING


def verbs(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb that does something, by its words."""
    for name, found in of.resolved_commands().items():
        if name.startswith("-"):
            continue
        inner = [word for word in found.resolved_commands() if not word.startswith("-")]
        if found.default_command is not None:
            yield (*path, name)
        if inner:
            yield from verbs(found, (*path, name))


VERBS = sorted(set(verbs()))


def test_the_walk_finds_the_verbs() -> None:
    assert {("seizure", "record"), ("seizure", "goods", "correct"), ("history",), ("stats", "seizures")} <= set(VERBS)


def test_every_first_word_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == ExitCode.DONE
    told = capsys.readouterr().out
    for word in {verb[0] for verb in VERBS} | PROMISED:
        assert f" {word} " in told, word


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_explains_itself_and_speaks_json(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, "--help"]) == ExitCode.DONE
    told = capsys.readouterr().out
    assert f"Usage: ncen {' '.join(verb)}" in told
    assert "--json" in told
    sentence = told.partition("\n\n")[2]
    assert sentence.strip()[0].isupper(), "a verb says in a sentence what it does"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_has_its_place_in_the_reference(verb: tuple[str, ...]) -> None:
    assert f"# ncen {' '.join(verb)}\n" in PAGE.read_text(encoding="utf-8")


def test_every_option_of_ours_is_explained() -> None:
    bare = [line for line in markdown().splitlines() if line.startswith("* `") and line.rstrip().endswith(("`:", "`"))]
    assert not bare, f"say what they are for: {bare}"


def test_the_reference_page_is_what_the_command_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "`make docs` writes it anew"


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)
    assert all(f"| {code.value} | " in PAGE.read_text(encoding="utf-8") for code in ExitCode)
