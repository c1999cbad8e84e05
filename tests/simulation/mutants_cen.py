"""Bugs that we planted in what the CEN is told, as `mutants` does in the rest."""

from datetime import datetime

from exchange import cen, outbox
from exchange.cen import CenExporter, Telling, read
from tests.simulation import telling_cen
from tests.simulation.mutant import Mutant, changed
from tests.simulation.seams import Exchanged


def send_then_reach(self: CenExporter, now: datetime) -> bool:
    """Commit what is told, then up to where."""
    with self.connection.transaction():
        feed = outbox.load(self.connection, self.peer)
        rows, reached, is_full = self._read(feed.position)
        told = Telling(self.connection, self.peer)
        told.fetch([record_id for _, record_id, _ in rows])
        answers = [
            (position, record_id, told.tell(record_id, read(body), self._export_id(record_id)))
            for position, record_id, body in rows
        ]
        self._send(feed, answers, now)
        outbox.save(self.connection, feed)
    with self.connection.transaction():
        told.save()
        feed = outbox.load(self.connection, self.peer)
        feed.position = reached
        outbox.save(self.connection, feed)
        return is_full


SEALED = """size = connection.execute("SELECT size FROM ledger.seal_state").fetchone()
            stop.wait(TICK_S / (1 + (size[0] if size else 0) % 2))"""
"""It waits for less time when something was sealed."""

MUTANTS = (
    Mutant(
        name="a batch is told twice to the CEN",
        run=telling_cen.run,
        changes=(Exchanged(CenExporter, "step", send_then_reach),),
        within=50,
    ),
    Mutant(
        name="the feed to the CEN goes back over what it has told",
        run=telling_cen.run,
        changes=(
            changed(
                CenExporter, "step", ("feed.position = reached", "feed.position = min(reached, feed.position + 2)")
            ),
        ),
        within=50,
    ),
    Mutant(
        name="chunks for the CEN are counted in all entries",
        run=telling_cen.run,
        changes=(changed(CenExporter, "_read", ("int(head[0]) if head else 0", "min(int(head[0]), after + CHUNK)")),),
        within=20,
    ),
    Mutant(
        name="the CEN is told because something was sealed",
        run=telling_cen.run,
        changes=(
            changed(
                cen,
                "tell",
                (
                    "stop.wait(TICK_S)",
                    SEALED,
                ),
            ),
        ),
        within=20,
    ),
)
