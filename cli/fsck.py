"""`ncen fsck`: name every entry of the ledger that is damaged, not only the first, and what is wrong with it.

Beside what `ncen verify` looks at, each leaf is compared with the tiles that the node keeps outside of the database, so
that an entry that was forged together with its leaf and the whole tree is named too. It changes nothing.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cli.output import ExitCode, NotFound
from cli.verify import opening, proving, tell, with_faults


def fsck(
    *,
    tiles: Annotated[
        Path | None, Parameter(help="Compare with the tiles in this folder (default: the node's).")
    ] = None,
    without_keys: Annotated[bool, Parameter(help="Open nothing personal.")] = False,
) -> ExitCode:
    """Name each damaged entry with position, record, version and what is wrong; end with 6 when there is one."""
    from ledger import checkpoints
    from ledger.checkpoint import NotCheckpoint
    from ledger.tiles import Tiles
    from ledger.verdict import Fault
    from ledger.verify import verify_session

    if tiles is not None and not (tiles / "checkpoint").is_file():
        raise NotFound(f"There are no tiles in {tiles}.")
    with proving() as (connection, prover, settings):
        found = None if prover is None else checkpoints.find(connection, prover.keys, prover.folder)
        vault = None if without_keys or prover is None else opening(connection, settings)
        signed = () if found is None else found.signed
        verdict = verify_session(connection, signed, vault=vault)
        more = list(() if found is None else found.faults)
        try:
            more += Tiles(tiles or settings.checkpoints / "tiles").faults(connection)
        except NotCheckpoint as error:
            more.append(Fault(None, None, None, f"the checkpoint beside the tiles is not one. {error}"))
    known = {(fault.position, fault.record_id) for fault in verdict.faults if fault.record_id is not None}
    new = tuple(fault for fault in more if (fault.position, fault.record_id) not in known)
    verdict = with_faults(verdict, new)
    tell(verdict)
    return ExitCode.DONE if verdict.is_sound else ExitCode.NOT_VERIFIED
