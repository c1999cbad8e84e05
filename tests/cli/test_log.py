"""The logs: our lines as JSON, of other lines and of errors only what cannot be a value."""

import json
import logging
import subprocess
import sys
from pathlib import Path

WRITE = """
import logging, structlog, sys, threading
from pathlib import Path
from cli.log import open_log
log = open_log(Path(sys.argv[1]))
log.info("worker starts", worker="seal")
logging.getLogger("projections.projector").warning("projection %s waits", "seizures")
structlog.get_logger("exchange.worker").warning("exchange.interrupted", part="relay")
logging.getLogger("library").error("could not insert %s", "Zaphod")
logging.getLogger("library").error("could not insert Zaphod")
try:
    raise ValueError("Zaphod")
except ValueError:
    logging.getLogger("library").exception("failed for %s", "Zaphod")
def broken():
    raise RuntimeError("Zaphod")
thread = threading.Thread(target=broken)
thread.start()
thread.join()
raise KeyError("Zaphod")
"""


def test_no_value_reaches_a_log(tmp_path: Path) -> None:
    path = tmp_path / "seal.log"
    done = subprocess.run([sys.executable, "-c", WRITE, str(path)], capture_output=True, text=True, check=False)
    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert done.returncode == 1
    assert "Zaphod" not in text + done.stderr
    assert [line["event"] for line in lines] == [
        "worker starts",
        "projection seizures waits",
        "exchange.interrupted",
        "could not insert %s",
        "a library logged something",
        "failed for %s",
        "uncaught error",
        "uncaught error",
    ]
    assert [line.get("error") for line in lines[5:]] == ["ValueError", "RuntimeError", "KeyError"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_log_is_bounded() -> None:
    from cli import log

    assert log.MAX_BYTES * (log.OLD_FILES + 1) <= 20_000_000
    assert isinstance(log.Bare(), logging.Formatter)
