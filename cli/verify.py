"""`ncen verify`: recompute what is stored, and name the first entry that does not fit.

It trusts nothing that is stored beside the entries: leaves, order, gaps and tree are computed again, and with the
node's own keys every personal body is opened too. It ends with 6 when something does not fit, and says which entry.
"""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from cli import output, show
from cli.output import ExitCode, NotFound

if TYPE_CHECKING:
    from ledger.verify import Verdict


def verify(
    *,
    all_faults: Annotated[bool, Parameter(name="--all", help="Go on after the first entry that does not fit.")] = False,
    without_keys: Annotated[
        bool, Parameter(help="Open nothing personal: what an auditor without the node's keys can verify.")
    ] = False,
) -> ExitCode:
    """Recompute the leaves, the tree, the order and the gaps of the ledger; end with 6 when an entry does not fit."""
    import psycopg

    from cli.settings import load
    from cli.supervisor import database_url
    from ledger.verify import verify as verify_ledger

    settings = load()
    keys = None if without_keys or not settings.keys.is_dir() else settings.keys
    try:
        verdict = verify_ledger(database_url(settings), stop_at_first=not all_faults, keys=keys)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise NotFound("There is no ledger in this database yet: `ncen up` makes it.") from None
    data: dict[str, Any] = {
        "verified": verdict.is_sound,
        "entries": verdict.entries,
        "root": verdict.root.hex(),
        "unsealed": verdict.unsealed,
        "opened": verdict.opened,
        "erased": verdict.erased,
        "faults": [show.plain(fault) for fault in verdict.faults],
    }
    output.show(data, *_lines(verdict))
    return ExitCode.DONE if verdict.is_sound else ExitCode.NOT_VERIFIED


def _lines(verdict: "Verdict") -> list[object]:
    lines: list[object] = []
    if verdict.is_sound:
        lines.append(f"{verdict.entries} sealed entries fit: leaves, order, gaps and tree.")
    else:
        lines += ["The ledger does not fit what was sealed:", *(f"  {fault}" for fault in verdict.faults)]
    if verdict.opened or verdict.erased:
        lines.append(f"{verdict.opened} personal bodies were opened; {verdict.erased} have been erased.")
    if verdict.unsealed:
        lines.append(f"{verdict.unsealed} more are recorded and wait to be sealed.")
    return [*lines, f"root {verdict.root.hex()}"]
