"""Fresh tables: made, filled beside the serving ones, indexed, and put in their place.

All of them are UNLOGGED: nothing of them reaches the write-ahead log, its archive, a base backup or a standby, and a
crash empties them together with their positions, so that they are built again from the ledger.

Nothing here holds a writing transaction open for longer than a batch takes, since that would hold up the sealer:
indexes are built concurrently, and the swap is one short transaction that gives way to readers and is tried again.
After a crash the fresh tables go on from the position they had committed.
"""

from psycopg import errors, sql

from projections.positions import Connection
from projections.projection import Cursor, Projection, Table
from projections.slot import Overtaken, Slot

SWAP_WAIT = "500ms"
"""How long the swap waits for readers to finish, and they for it, before it gives way."""


def make_serving(slot: Slot, projection: Projection) -> None:
    """Make the tables of a projection that has none yet, at position zero; they answer when they are full."""
    with slot.transaction() as cursor:
        _make(cursor, projection)
        for table in projection.TABLES:
            for index in table.indexes:
                cursor.execute(index.encode())
        cursor.execute(
            "INSERT INTO read.position (name, is_fresh, version, position, tables, owed)"
            " SELECT %s, false, %s, 0, %s, coalesce(max(position), 0) FROM ledger.sealed",
            [projection.NAME, projection.VERSION, [table.name for table in projection.TABLES]],
        )


def make_fresh(slot: Slot, projection: Projection) -> None:
    """Make empty fresh tables without their indexes, in place of any that were left, with nothing parked."""
    with slot.transaction() as cursor:
        _make(cursor, projection)
        cursor.execute("DELETE FROM read.parked WHERE projection = %s AND is_fresh", [projection.NAME])
        cursor.execute(
            "UPDATE read.position SET version = %s, position = 0, tables = %s WHERE name = %s AND is_fresh",
            [projection.VERSION, [table.name for table in projection.TABLES], projection.NAME],
        )


def _make(cursor: Cursor, projection: Projection) -> None:
    for table in projection.TABLES:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table.name)))
        cursor.execute(unlogged(table).encode())
        for column in table.personal:
            cursor.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS 0").format(
                    sql.Identifier(table.name), sql.Identifier(column)
                )
            )
        if not table.is_open:  # the second line, behind the gate of access
            cursor.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(sql.Identifier(table.name)))


def unlogged(table: Table) -> str:
    """The definition of a table that no log, backup or standby ever holds."""
    return table.definition.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1)


def are_logged(connection: Connection, projection: Projection) -> bool:
    """Whether an older program made tables of this projection that the write-ahead log holds: build them anew."""
    found = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE nspname IN ('read', 'read_fresh') AND relname = ANY(%s) AND relkind = 'r' AND relpersistence = 'p')",
        [[table.name for table in projection.TABLES]],
    ).fetchone()
    return found == (True,)


def build_next_index(connection: Connection, slot: Slot, projection: Projection) -> bool:
    """Build one index that the fresh tables still lack, then gather statistics; False when none is lacking."""
    for table in projection.TABLES:
        for index in table.indexes:
            name = index.split()[2]
            if not _is_built(connection, slot.schema, name):
                _build(connection, slot.schema, name, index)
                return True
    return False


def gather_statistics(connection: Connection, slot: Slot, projection: Projection) -> None:
    """Let the planner know the fresh tables before anybody reads them."""
    for table in projection.TABLES:
        connection.execute(sql.SQL("ANALYZE {}.{}").format(sql.Identifier(slot.schema), sql.Identifier(table.name)))


def _is_built(connection: Connection, schema: str, name: str) -> bool:
    found = connection.execute(
        "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE relname = %s AND relnamespace = %s::regnamespace",
        [name, schema],
    ).fetchone()
    if found == (False,):  # left half-built by a crash
        connection.execute(sql.SQL("DROP INDEX {}.{}").format(sql.Identifier(schema), sql.Identifier(name)))
    return found == (True,)


def _build(connection: Connection, schema: str, name: str, index: str) -> None:
    connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
    connection.execute("SET statement_timeout = 0")
    connection.execute("SET lock_timeout = 0")  # it waits for old snapshots to go, and holds up nobody meanwhile
    try:
        connection.execute(index.replace(f"INDEX {name}", f"INDEX CONCURRENTLY {name}", 1).encode())
    finally:
        connection.execute("RESET search_path")
        connection.execute("SET statement_timeout = '60s'")
        connection.execute("SET lock_timeout = '5s'")


def swap(slot: Slot, projection: Projection) -> bool:
    """Put the fresh tables in place of the serving ones; False when readers were in the way, to be tried again.

    Nor do they take over when somebody has asked meanwhile for them to be begun anew.
    """
    try:
        with slot.transaction() as cursor:
            cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(SWAP_WAIT))
            _swap(cursor, projection, slot.position)
    except (errors.LockNotAvailable, errors.DeadlockDetected, Overtaken):
        return False
    return True


def _swap(cursor: Cursor, projection: Projection, reached: int | None) -> None:
    cursor.execute("SELECT tables FROM read.position WHERE name = %s AND NOT is_fresh", [projection.NAME])
    (old,) = cursor.fetchone() or ([],)
    for name in sorted({*old, *(table.name for table in projection.TABLES)}):  # after a crash no position names them
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS read.{}").format(sql.Identifier(name)))
    for table in projection.TABLES:
        cursor.execute(sql.SQL("ALTER TABLE read_fresh.{} SET SCHEMA read").format(sql.Identifier(table.name)))
    cursor.execute("DELETE FROM read.position WHERE name = %s AND NOT is_fresh", [projection.NAME])
    take_over = "UPDATE read.position SET is_fresh = false WHERE name = %s AND position = %s"
    if cursor.execute(take_over, [projection.NAME, reached]).rowcount != 1:
        raise Overtaken(projection.NAME)
    for statement in (
        "DELETE FROM read.parked WHERE projection = %s AND NOT is_fresh",
        "UPDATE read.parked SET is_fresh = false WHERE projection = %s",
        (
            "INSERT INTO read.retelling SELECT projection, false, record_id, position FROM read.retelling"
            " WHERE projection = %s AND is_fresh ON CONFLICT DO NOTHING"
        ),
        "DELETE FROM read.retelling WHERE projection = %s AND is_fresh",
    ):
        cursor.execute(statement, [projection.NAME])
