"""What a database administrator who knows the format can do to an entry."""

from ledger import leaf
from ledger.clock import to_us
from ledger.sessions import Session

AT = "WHERE (record_id, version) = (SELECT record_id, version FROM ledger.sealed WHERE position = %s)"


def forge_leaf(session: Session, position: int) -> None:
    """Edit a body and compute its leaf anew, as one would who knows the format."""
    row = session.execute(
        f"""UPDATE ledger.entry SET body = set_byte(body, 20, 65) {AT}
            RETURNING record_id, version, recorded_at, node, name, personal, body, attribution, attribution_salt""",
        [position],
    ).fetchone()
    assert row is not None
    header = leaf.header(
        record_id=row[0],
        version=row[1],
        recorded_at_us=to_us(row[2]),
        node=row[3],
        name=row[4],
        is_personal=row[5],
    )
    forged = leaf.leaf_hash(leaf.leaf_bytes(header, row[6], leaf.attribution_hash(row[8], row[7])))
    session.execute("UPDATE ledger.sealed SET leaf = %s WHERE position = %s", [forged, position])
