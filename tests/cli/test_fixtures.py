"""The servers that all other tests rely on are real, safe and fresh."""

import psycopg

from cli.nats_server import EmbeddedNats


def test_database_is_fresh_and_durable(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        names = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "server_encoding")
        values = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    assert tables == (0,)
    assert values == [("on",), ("on",), ("on",), ("on",), ("UTF8",)]


def test_nats_answers_and_syncs_always(nats_server: EmbeddedNats) -> None:
    assert nats_server.is_running()
    assert nats_server.syncs_always()
