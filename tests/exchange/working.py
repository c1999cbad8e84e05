"""A node at work in a process of its own, for tests that kill it: `python -m tests.exchange.working …`."""

import sys
import threading
from pathlib import Path

from exchange import worker
from ledger import sealer


def main(database_url: str, node: str, keys: str, nats_url: str, role: str) -> None:
    """Seal and exchange until killed."""
    stop = threading.Event()
    threading.Thread(target=sealer.run, args=(database_url,), kwargs={"stop": stop}, daemon=True).start()
    worker.run(database_url, node=node, keys=Path(keys), nats_url=nats_url or None, stop=stop, role=role)


if __name__ == "__main__":
    main(*sys.argv[1:])
