"""Hostile files and mappings through the door of the import: refused in a sentence, and nothing of them recorded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.node import Inside
from tests.hostile import files, mappings
from tests.hostile.checking import check


@pytest.mark.parametrize("name", files.CASES)
def test_a_hostile_file_is_refused(
    name: str, ncen: Inside, in_folder: Path, counted: Callable[[], dict[str, int]]
) -> None:
    check(files.CASES[name], ncen, in_folder, counted)


@pytest.mark.parametrize("name", mappings.CASES)
def test_a_hostile_mapping_is_refused(
    name: str, ncen: Inside, in_folder: Path, counted: Callable[[], dict[str, int]]
) -> None:
    (in_folder / "good.csv").write_text(mappings.GOOD, encoding="utf-8")
    check(mappings.CASES[name], ncen, in_folder, counted)
