"""`ncen verify`: does the ledger still say what was sealed and signed for?

It recomputes everything from what is stored, or with `--tail` what came since the newest signed checkpoint, and
compares it with the checkpoints that are kept in the database and outside of it. It changes nothing.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from cli import output
from cli.output import ExitCode, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.settings import Settings
    from ledger.prover import Prover
    from ledger.sessions import Session
    from ledger.vault import Vault
    from ledger.verify import Verdict

MOST_SHOWN = 200


@contextmanager
def proving() -> "Iterator[tuple[Session, Prover | None, Settings]]":
    """Open a session that may take its time, and the node's prover: None where the node's keys are not at hand.

    Raises:
        NotFound: there is no ledger yet.
    """
    import psycopg

    from cli.settings import load
    from cli.supervisor import database_url
    from ledger.card_keys import is_key_folder
    from ledger.prover import Prover
    from ledger.sessions import connect

    settings = load()
    has_keys = is_key_folder(settings.keys)
    prover = Prover.open(settings.keys, node=settings.node, folder=settings.checkpoints) if has_keys else None
    try:
        with connect(database_url(settings), statement_timeout_ms=0) as connection:
            yield connection, prover, settings
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise NotFound("There is no ledger in this database yet: `ncen up` makes it.") from None


def verify(
    *,
    tail: Annotated[bool, Parameter(help="Only what came since the newest signed checkpoint.")] = False,
    all_faults: Annotated[bool, Parameter(name="--all", help="Go on after the first entry that does not fit.")] = False,
    without_keys: Annotated[
        bool, Parameter(help="Open nothing personal: what an auditor without the node's keys can verify.")
    ] = False,
) -> ExitCode:
    """Recompute leaves, tree, order, gaps and checkpoints of the ledger; end with 6 when something does not fit."""
    from ledger import checkpoints
    from ledger.verify import verify_session

    with proving() as (connection, prover, settings):
        if tail:
            if prover is None:
                raise NotFound("There is no checkpoint to begin at without this node's keys.")
            verdict, _ = prover.examine(connection)
        else:
            found = None if prover is None else checkpoints.find(connection, prover.keys, prover.folder)
            vault = None if without_keys or prover is None else opening(connection, settings)
            signed = () if found is None else found.signed
            verdict = verify_session(connection, signed, vault=vault, stop_at_first=not all_faults)
            verdict = with_faults(verdict, () if found is None else found.faults)
    tell(verdict)
    return ExitCode.DONE if verdict.is_sound else ExitCode.NOT_VERIFIED


def opening(connection: "Session", settings: "Settings") -> "Vault":
    """Return what opens personal bodies, with this node's keys. Raises Unsafe: they are not those of this ledger."""
    from ledger import schema
    from ledger.keyring import Keyring
    from ledger.vault import Vault

    keyring = Keyring.open(settings.keys)
    schema.bind_keys(connection, keyring)
    return Vault(keyring)


def with_faults(verdict: "Verdict", more: "tuple[Any, ...]") -> "Verdict":
    """Return a verdict with further faults."""
    import msgspec

    return msgspec.structs.replace(verdict, faults=(*verdict.faults, *more))


def tell(verdict: "Verdict") -> None:
    """Print what verifying came to."""
    data: dict[str, Any] = {
        "verified": verdict.is_sound,
        "entries": verdict.entries,
        "root": verdict.root.hex(),
        "since": verdict.since,
        "signed": verdict.signed,
        "unsealed": verdict.unsealed,
        "opened": verdict.opened,
        "erased": verdict.erased,
        "faults": [
            {
                "position": fault.position,
                "record_id": str(fault.record_id) if fault.record_id else None,
                "version": fault.version,
                "what": fault.what,
            }
            for fault in verdict.faults
        ],
    }
    output.show(data, *_lines(verdict))


def _lines(verdict: "Verdict") -> list[object]:
    lines: list[object] = []
    if verdict.is_sound:
        count = verdict.entries - verdict.since
        after = f" since position {verdict.since}, up to which they were signed for" if verdict.since else ""
        lines.append(f"{count} sealed entries fit{after}: leaves, order, gaps and tree.")
    else:
        lines.append("The ledger does not fit what was sealed:")
        lines += [f"  {fault}" for fault in verdict.faults[:MOST_SHOWN]]
        if len(verdict.faults) > MOST_SHOWN:
            lines.append(f"  and {len(verdict.faults) - MOST_SHOWN} more: --json names all of them.")
    if verdict.signed:
        lines.append(f"Signed checkpoints were compared, up to position {verdict.signed}.")
    if verdict.opened or verdict.erased:
        lines.append(f"{verdict.opened} personal bodies were opened; {verdict.erased} have been erased.")
    if verdict.unsealed:
        lines.append(f"{verdict.unsealed} more are recorded and wait to be sealed.")
    return [*lines, f"root {verdict.root.hex()}"]
