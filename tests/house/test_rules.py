"""House rules that a reviewer should not have to remember: heads, names, sizes, and what may be committed."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "ledger", "projections", "exchange", "intake", "access", "cli", "soak")
FORBIDDEN = {"utils", "util", "common", "core", "helpers", "helper", "services", "managers", "base", "misc"}
LONGEST_MODULE = 450
LONGEST_FUNCTION = 60


def modules() -> Iterator[Path]:
    for room in (*ROOMS, "bench"):
        yield from sorted((ROOT / room).rglob("*.py"))


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_with_what_it_is_and_the_rules_it_keeps(path: Path) -> None:
    head = ast.get_docstring(ast.parse(path.read_text()))
    assert head, "a module head says what the module is and which rules it keeps"
    assert len(head) >= 40, "one word is no head"


def test_no_room_is_named_after_nothing() -> None:
    named = [
        path for path in modules() if FORBIDDEN & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]
    assert not named, f"name it after its concept: {named}"


def test_modules_stay_readable_in_one_sitting() -> None:
    long = {str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text().splitlines())) > LONGEST_MODULE}
    assert not long, f"over {LONGEST_MODULE} lines a module is probably two: {long}"


def test_functions_stay_short() -> None:
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert not long, f"over {LONGEST_FUNCTION} lines a function is probably two: {long}"


def test_nothing_unfinished_is_left_in_the_code() -> None:
    marks = ("TODO", "FIXME", "XXX:", "NotImplementedError")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if any(mark in line for mark in marks)
    ]
    assert not found, found


def test_no_data_set_secret_or_built_file_is_committed() -> None:
    suspicious = (".gz", ".csv", ".xlsx", ".parquet", ".duckdb", ".pem", ".key", ".whl", ".zip", ".sqlite")
    allowed = ("tests/", "uv.lock", "docs/")
    found = [name for name in tracked() if name.endswith(suspicious) and not name.startswith(allowed)]
    big = [name for name in tracked() if (ROOT / name).exists() and (ROOT / name).stat().st_size > 600_000]
    assert not found, found
    assert not big, big


def test_every_lint_rule_that_is_ignored_says_why() -> None:
    bare = [
        line.strip()
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.strip().startswith('"')
        and line.strip().split('"')[1][:1].isupper()
        and line.strip().split('"')[1][-1:].isdigit()
        and "#" not in line
    ]
    assert not bare, bare


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_suppressed_rule_says_why_on_its_line(path: Path) -> None:
    bare = [
        number
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if ("# noqa" in line and line.split("# noqa", 1)[1].count("#") < 1)
        or ("type: ignore" in line and line.split("type: ignore", 1)[1].count("#") < 1)
    ]
    assert not bare, f"lines {bare}: write the reason after a second #"


OF_OUR_OWN = {
    "domain/forms.py": "the doors themselves",
    "domain/records.py": "stored events, which `encode` checked; `read` checks what comes from outside",
    "ledger/application.py": "stored events in the envelope of the eventsourcing library",
    "ledger/attributed.py": "the id of a command, 16 bytes; who acted goes through `forms`",
    "ledger/frame.py": "lines that our own query framed, of events that `encode` checked",
    "ledger/line.py": "provenance that the receiver made",
    "projections/folding.py": "states that the projector folded",
    "exchange/cen.py": "what was told of a seizure before; stored events go through `forms`",
    "exchange/decisions.py": "rows of our own table",
    "exchange/envelope.py": "the frame of a line, which holds no text; what is within goes through `forms`",
    "exchange/matter.py": "states that we folded",
    "exchange/premises.py": "states that we folded",
    "intake/excel_rows.py": "cells from the child process, not yet read",
    "intake/json_child.py": "rows of a file, each taken out of the array as it stands",
    "intake/json_rows.py": "cells of a file, not yet read",
    "intake/reference.py": "lists that the package ships",
    "cli/peers.py": "a card that we wrote",
    "cli/supervisor.py": "the supervisor's own note of what runs",
    "cli/demo/node.py": "answers of our own verbs",
}
"""Who may read bytes without the check of forms, and why nothing from outside is among what they read."""


def test_what_comes_from_outside_is_read_through_a_door() -> None:
    decoding = re.compile(r"msgspec\.convert\(|msgspec\.(json|msgpack)\.(decode\(|Decoder\()")
    found = {
        str(path.relative_to(ROOT))
        for path in modules()
        if path.relative_to(ROOT).parts[0] != "bench" and decoding.search(path.read_text())
    }
    assert found == set(OF_OUR_OWN), "read through `domain.forms`, or say here why it is our own"
