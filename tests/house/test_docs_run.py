"""The documents do what they say: their shell blocks run, in order, in an empty folder with a home of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOLD = {
    "README.md": ["Found in the lining", "2.5 kg → 2.418 kg", "sealed entries fit"],
    "docs/tutorial/first-node.md": [
        "2026-10-12 → 2026-10-11",
        "Amina Example",
        "refused, exit code 1",
        "31.02.2026",
        "sealed entries fit",
    ],
}


@pytest.fixture
def empty() -> Iterator[Path]:
    """An empty folder at a short path: the servers of root's nodes must be able to reach it."""
    with TemporaryDirectory(prefix="ncen-docs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("document", TOLD)
def test_the_shell_blocks_of_a_document_run_in_order(document: str, empty: Path) -> None:
    blocks = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    assert blocks, "a document without a block that runs proves nothing"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NCEN_HOME": str(empty / "home"),
        "NO_COLOR": "1",
    }
    script = "set -euo pipefail\ntrap 'ncen down >/dev/null 2>&1' EXIT\n" + "\n".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script], cwd=empty, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    missing = [words for words in TOLD[document] if words not in done.stdout + done.stderr]
    assert not missing, f"{missing} was not said:\n{done.stdout}\n{done.stderr}"
