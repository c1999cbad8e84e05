"""The exchange's tables are made once: whoever starts later takes no lock that a reader could be in the way of."""

import threading

from exchange import schema
from tests.exchange.conftest import MakeNode

WAIT_S = 15.0


def test_who_starts_beside_readers_waits_for_none_of_them(make_node: MakeNode) -> None:
    node = make_node("XA")
    starting = threading.Thread(target=schema.prepare, args=(node.url,), kwargs={"node": "XA"})
    with node.session.transaction():
        for table in ("peer", "feed", "decision", "inbox_feed", "feed_out_before"):
            node.session.execute(f"SELECT FROM exchange.{table}".encode())  # its lock is held until the end
        starting.start()
        starting.join(WAIT_S)
        has_started = not starting.is_alive()
    starting.join()
    assert has_started


def test_what_another_edition_has_made_is_brought_up_to_date(make_node: MakeNode) -> None:
    node = make_node("XA")
    node.session.execute("ALTER TABLE exchange.peer DROP COLUMN met")
    node.session.execute("COMMENT ON SCHEMA exchange IS 'of before'")
    schema.prepare(node.url, node="XA")
    assert node.session.execute("SELECT met FROM exchange.peer").fetchall() == []
