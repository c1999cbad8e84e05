"""What every refusal of the command line must be: the code that is documented, and a sentence that quotes nothing."""

import re
from collections.abc import Callable
from pathlib import Path

from cli.output import CONTROL, ExitCode
from tests.cli.node import Inside
from tests.hostile.case import CANARY, FILE, MAPPING, Case
from tests.hostile.measuring import MB, used
from tests.intake.conftest import REGISTER

MOST_BYTES = 400 * MB
"""What a case may take beyond what the process held before, in the process and its children."""
MOST_SECONDS = 20.0
LONGEST_SENTENCE = 14_000


def check(case: Case, ncen: Inside, folder: Path, counted: Callable[[], dict[str, int]]) -> None:
    """Give a case to the node and assert what holds of every case."""
    file, mapping = folder / case.file, folder / "the-mapping.toml"
    file.write_bytes(case.content)
    mapping.write_text(case.mapping or REGISTER, encoding="utf-8")
    paths = {FILE: str(file), MAPPING: str(mapping)}
    before = counted()
    with used() as used_up:
        done = ncen.run(*(paths.get(word, word) for word in case.words))
    said = done.stderr if case.code is not ExitCode.REFUSED else done.stdout + done.stderr
    assert done.returncode == case.code, f"{done.returncode}: {said[:500]}"
    assert re.search(case.says, said), said[:800]
    assert is_sentence(said), said[:800]
    assert CANARY not in done.stdout + done.stderr
    assert counted() == before, "nothing may be recorded, not even in part"
    assert used_up.bytes < MOST_BYTES, f"{used_up.bytes // MB} MB"
    assert used_up.seconds < MOST_SECONDS, f"{used_up.seconds:.1f} s"


def is_sentence(said: str) -> bool:
    """Whether what was said is whole, not endless, and nothing that a terminal obeys."""
    lines = [line for line in said.splitlines() if line.strip()]
    is_whole = bool(lines) and lines[-1].rstrip().endswith((".", "?", "all of them."))
    return is_whole and len(said) < LONGEST_SENTENCE and "Traceback" not in said and not CONTROL.search(said)
