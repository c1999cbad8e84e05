"""The read side is a cache: no log holds it, a crash of the server empties it whole, and it is built again by itself.

Until it is full again every question is refused, so that nobody takes "nothing was found" for an answer.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from projections import fresh, positions, projector
from projections.asking import NotReady
from projections.catalogue import PROJECTIONS
from projections.positions import wait_for
from projections.search import search
from soak.place import kill
from tests.projections.conftest import Node
from tests.projections.invented import named, party, seizure

NAME = "Xaverius Quackenbosch"
PATIENCE_S = 30.0
HARMLESS = {
    *("category", "handling", "instrument", "kind", "node", "party", "peer", "restricted", "role"),
    *("countries", "roles"),
    *("categories", "ended", "offence_types", "onward", "parties", "purposes", "sections", "senders", "suspended"),
}
"""Columns of closed tables that hold codes: what the server samples of them names no one."""
TYPED = re.compile(r"(\w+) (?:text(?:\[\])?|bytea|tsvector|date|integer|jsonb)\b")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of its own, to be killed."""
    folder = tmp_path_factory.mktemp("emptied")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    own = EmbeddedPostgres(folder / "pg", settings={"shared_buffers": "'32MB'", "archive_mode": "off"})
    own.start()
    yield own
    own.stop()


@pytest.fixture
def mortal(server: EmbeddedPostgres, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node on that server, with a person who has a part in a seizure, in the tables."""
    name = f"emptied_{abs(hash(request.node.name))}"
    server.create_database(name)
    node = Node(server.dsn(name), tmp_path / "keys")
    who = node.do(named(NAME))
    node.do(seizure(parties=(party(who),)))
    with node.projector():
        assert wait_for(node.database_url, node.seal(), PATIENCE_S)
    yield node
    node.ledger.close()
    server.drop_database(name)


def crash(server: EmbeddedPostgres, node: Node) -> None:
    node.ledger.close()
    kill(server)
    server.start()
    node.ledger = type(node.ledger).open(node.database_url, node="XA", keys=node.keys)


def tell(node: Node, statements: str) -> None:
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        for statement in statements.split("; "):
            connection.execute(statement.encode())


def hits(node: Node, kind: str = "person") -> int:
    with psycopg.connect(node.database_url, autocommit=True) as connection:
        return len(search(connection, kind=kind, name=NAME).hits)


@pytest.mark.parametrize("in_place", [5_000, 0], ids=["told in place", "told into fresh tables"])
def test_what_a_crash_empties_is_built_again(
    in_place: int, server: EmbeddedPostgres, mortal: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "FILLED_IN_PLACE", in_place)
    before = mortal.dump()
    assert (hits(mortal), hits(mortal, "seizure")) == (1, 1)
    crash(server, mortal)
    assert positions.positions(mortal.database_url) == []
    assert not any(mortal.dump().values()), "all of it is empty, and not some"
    for kind in ("person", "seizure"):
        with pytest.raises(NotReady, match="position 0 of 4"):
            hits(mortal, kind)
    assert not wait_for(mortal.database_url, 0, 0.01)
    with mortal.projector():
        assert wait_for(mortal.database_url, mortal.seal(), PATIENCE_S)
    assert mortal.dump() == before
    assert (hits(mortal), hits(mortal, "seizure")) == (1, 1)


def test_a_clean_stop_keeps_it(server: EmbeddedPostgres, mortal: Node) -> None:
    before = mortal.dump()
    mortal.ledger.close()
    server.stop()
    server.start()
    assert mortal.dump() == before
    assert hits(mortal) == 1


def test_who_was_erased_before_the_crash_does_not_come_back(server: EmbeddedPostgres, mortal: Node) -> None:
    ((who,),) = mortal.query("SELECT record_id FROM read.person")
    mortal.erase(who)
    crash(server, mortal)
    with mortal.projector():
        assert wait_for(mortal.database_url, mortal.seal(), PATIENCE_S)
    assert (hits(mortal), hits(mortal, "seizure")) == (0, 0)
    assert NAME.split()[1] not in str(mortal.dump())


def test_half_of_it_answers_nothing(node: Node) -> None:
    node.do(named(NAME))
    head = node.project()
    node.query("UPDATE read.position SET owed = %s, position = 0 RETURNING 1", head)
    with pytest.raises(NotReady, match=f"position 0 of {head}"):
        hits(node)
    assert {one.is_built for one in positions.positions(node.database_url)} == {False}
    assert not wait_for(node.database_url, 0, 0.01), "its own writes may be there, and the rest is not"
    node.project()
    assert {one.is_built for one in positions.positions(node.database_url)} == {True}
    assert hits(node) == 1


def test_everything_of_it_is_unlogged(node: Node) -> None:
    node.do(named(NAME))
    node.project()
    with node.built(PROJECTIONS["persons"]):
        kinds = node.query(
            "SELECT relkind, relpersistence, count(*) FROM pg_class WHERE relnamespace::regnamespace::text IN"
            " ('read', 'read_fresh') GROUP BY 1, 2 ORDER BY 1, 2"
        )
    assert {(kind, persistence) for kind, persistence, _ in kinds} == {("i", "u"), ("r", "u")}


def test_what_an_older_program_made_is_built_anew(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(fresh, "unlogged", lambda table: table.definition)
        node.do(named(NAME))
        node.project()
    for table in ("position", "parked", "retelling"):
        tell(node, f"ALTER TABLE read.{table} SET LOGGED")
    tell(node, "ALTER TABLE read.position DROP COLUMN owed")
    logged = "SELECT count(*) FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relpersistence = 'p'"
    assert node.query(logged) != [(0,)]
    before = node.dump()
    with node.projector():
        assert wait_for(node.database_url, node.seal(), PATIENCE_S)
        for _ in range(600):
            if node.query(logged) == [(0,)]:
                break
            time.sleep(0.05)
        assert node.query(logged) == [(0,)]
    assert node.dump() == before
    assert hits(node) == 1


def test_the_server_keeps_no_sample_of_what_is_personal(node: Node) -> None:
    """Samples lie in a logged catalogue; the control: with the server's own setting they do."""
    for number in range(40):
        node.do(named(f"{NAME} {number % 4}"))
    node.project()
    words = "SELECT count(*) FROM pg_stats WHERE schemaname = 'read' AND row(pg_stats.*)::text ~* 'quackenbosch'"
    tell(node, "ANALYZE")
    assert node.query(words) == [(0,)]
    assert node.query("SELECT count(*) > 5 FROM pg_stats WHERE schemaname = 'read'") == [(True,)]
    tell(node, "ALTER TABLE read.person_name ALTER COLUMN name SET STATISTICS 100; ANALYZE read.person_name")
    assert node.query(words) == [(1,)]


def test_every_column_that_may_tell_of_somebody_is_kept_from_the_samples() -> None:
    told = {
        f"{table.name}.{column}"
        for projection in PROJECTIONS.values()
        for table in projection.TABLES
        if not table.is_open
        for column in TYPED.findall(table.definition)
        if column
        not in {*table.personal, *HARMLESS, "version", "statements", "retention_days", "in_force_from", "until"}
    }
    assert told == set()
