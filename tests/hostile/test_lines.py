"""Hostile commands, cards and lines through the command line: refused in a sentence, and nothing of them recorded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.node import Inside
from tests.hostile import files, lines, mappings
from tests.hostile.checking import check


@pytest.mark.parametrize("name", lines.CASES)
def test_a_hostile_line_is_refused(
    name: str, ncen: Inside, in_folder: Path, counted: Callable[[], dict[str, int]]
) -> None:
    check(lines.CASES[name], ncen, in_folder, counted)


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(files.CASES) + len(mappings.CASES) + len(lines.CASES) >= 60
