"""What stands for the SQL of a witness: what it has cosigned of its peers' trees, and what it refused."""

from collections.abc import Sequence
from typing import Any

from exchange import witness
from tests.simulation.disk import Transaction
from tests.simulation.session import EMPTY, Answer, Session, statement

EMPTY.add("exchange.peer_succession")


@statement("SELECT pg_advisory_xact_lock(%s, hashtext(%s))")
def lock(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Take a lock until the transaction ends."""
    transaction.lock("advisory", *parameters)
    return [(None,)], 1


@statement(witness._LAST)
def last(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What was cosigned last of a tree."""
    rows = [(key[1], row) for key, row in transaction.rows("witnessed").items() if key[0] == parameters[0]]
    if not rows:
        return [], 0
    size, row = max(rows, key=lambda one: one[0])
    return [(size, row["root"], row["line"])], 1


@statement(witness._KEEP)
def keep(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Remember what is cosigned."""
    origin, size, root, _note, line, _at = parameters
    transaction.insert("witnessed", (origin, size), {"root": root, "line": line})
    return [], 1


@statement(witness._REFUSE)
def refuse(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Keep what was refused."""
    origin, reason, size, *_rest = parameters
    transaction.put("witness_refusal", (origin, reason, size), {})
    return [], 1
