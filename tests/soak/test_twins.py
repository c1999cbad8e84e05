"""The twins of the soak tell all that they lived through, also when something holds the numbering back for a while."""

import threading
import time
from pathlib import Path

from ledger.sessions import connect
from soak.place import folder, server
from soak.twins import Twins

HELD_S = 1.0


def test_a_transaction_elsewhere_on_the_server_delays_the_twins_and_tells_nothing(tmp_path: Path) -> None:
    with folder(in_memory=True) as home, server(home) as running:
        for name in ("one", "other", "elsewhere"):
            running.create_database(name)
        with Twins.open((running.dsn("one"), running.dsn("other")), tmp_path / "keys") as twins:
            with connect(running.dsn("elsewhere")) as busy:
                busy.execute("BEGIN")
                busy.execute("SELECT pg_current_xact_id()")  # as autovacuum does: nothing later is sealed while it runs
                ending = threading.Timer(HELD_S, busy.execute, ["ROLLBACK"])
                ending.start()
                began = time.monotonic()
                twins.live(7, (None, 3))
                mine, others = twins.news()
                ending.join()
            assert time.monotonic() - began >= HELD_S, "they waited for it"
            assert mine == others
            assert mine
