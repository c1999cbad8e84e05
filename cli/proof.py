"""`ncen proof …`: prove that a record's entries stand in the ledger's tree, and write the tree as files.

A proof is given out after it was checked against a signed checkpoint and, at a closed node, after a line in the
processing log was committed. Where no checkpoint covers the record yet, the tail is verified and one signed first, as
`ncen work prove` does every minute.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter

from cli import output
from cli.output import Misused, NotFound, VerificationFailed
from cli.verify import proving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.checkpoints import Signed
    from ledger.evidence import Proven
    from ledger.prover import Prover
    from ledger.sessions import Session

app = App(name="proof", help="Prove a record's entries in a signed checkpoint, and write the tree as tiles.")


@app.default
def proof(record_id: UUID | None = None, /) -> None:
    """Prove each entry of a record: its place, its leaf, and the hashes that lead to the root that was signed.

    Args:
        record_id: Whose entries.
    """
    if record_id is None:
        raise Misused("Name a record: `ncen proof ID`.")
    from cli.consulting import Consulting, require_known
    from cli.settings import load
    from domain.attribution import Purpose
    from ledger.evidence import lines_of

    require_known([record_id], Consulting(purpose=load().purpose or Purpose.ADMINISTRATION))
    with proving() as (connection, prover, _):
        _, proven = proven_in(connection, prover, lines_of(connection, [record_id]))
    from ledger.evidence import base64_of

    data = {
        "checkpoint": proven.note,
        "size": proven.head.size,
        "root": proven.head.root.hex(),
        "witnesses": [one.witness for one in proven.cosignatures],
        "entries": [
            {
                "record": str(one.line.record_id),
                "version": one.line.version,
                "position": one.line.position,
                "leaf": one.line.leaf.hex(),
                "proof": [base64_of(node) for node in one.hashes],
            }
            for one in proven.proofs
        ],
    }
    rows = [(one.line.version, one.line.position, one.line.leaf.hex(), len(one.hashes)) for one in proven.proofs]
    by = ", ".join(one.witness for one in proven.cosignatures) or "nobody yet"
    output.show(
        data,
        f"Proven in the checkpoint of {proven.head.origin} for {proven.head.size} entries, cosigned by {by}.",
        output.table("", ("version>", "position>", "leaf", "hashes>"), rows),
        proven.note.rstrip("\n"),
    )


def proven_in(connection: "Session", prover: "Prover | None", lines: "Sequence[object]") -> "tuple[Prover, Proven]":
    """Return entries with their proofs, signing a checkpoint first where none covers them.

    Raises:
        NotFound: the node's keys are not at hand.
        VerificationFailed: the tail does not fit, so that nothing is signed.
    """
    from ledger import checkpoints
    from ledger.evidence import prove
    from ledger.line import StoredLine

    if prover is None:
        raise NotFound("This node's keys are not at hand, so that no checkpoint can be read.")
    told = [line for line in lines if isinstance(line, StoredLine)]
    signed: Sequence[Signed] = checkpoints.find(connection, prover.keys, prover.folder).signed
    if max((one.size for one in signed), default=0) < max(line.position for line in told):
        verdict = prover.look(connection)
        if not verdict.is_sound:
            raise VerificationFailed(
                f"The ledger does not fit what was signed, so nothing is proven: {verdict.faults[0]}"
            )
        signed = checkpoints.find(connection, prover.keys, prover.folder).signed
    return prover, prove(connection, told, signed)


@app.command
def tiles(folder: Annotated[Path, Parameter(help="Where the tiles go; what is there already is kept.")], /) -> None:
    """Write the tree of the newest checkpoint as C2SP tiles, as far as the folder has not got it yet."""
    from ledger import checkpoints
    from ledger.tiles import Tiles

    with proving() as (connection, prover, _):
        if prover is None:
            raise NotFound("This node's keys are not at hand, so that no checkpoint can be read.")
        prover.look(connection)
        newest = checkpoints.find(connection, prover.keys, prover.folder).newest
        if newest is None:
            raise NotFound("Nothing is sealed yet.")
        written = Tiles(folder).write(connection, newest.note, newest.head)
    output.show(
        {"folder": str(folder), "size": newest.size, "written": written},
        f"{written} tiles were written; {folder} holds the tree of the first {newest.size} entries.",
    )


@app.command
def checkpoint() -> None:
    """Verify what came since the newest checkpoint, sign a new one, and print it."""
    from ledger import checkpoints

    with proving() as (connection, prover, _):
        if prover is None:
            raise NotFound("This node's keys are not at hand, so that nothing can be signed.")
        verdict = prover.look(connection)
        if not verdict.is_sound:
            raise VerificationFailed(f"The ledger does not fit, so nothing is signed: {verdict.faults[0]}")
        newest = checkpoints.find(connection, prover.keys, prover.folder, only_newest=True).newest
        if newest is None:
            raise NotFound("Nothing is sealed yet.")
        note, held = checkpoints.with_cosignatures(newest.note, checkpoints.cosignatures(connection, newest.size))
    data = {"size": newest.size, "root": newest.head.root.hex(), "note": note, "witnesses": [o.witness for o in held]}
    output.show(data, note.rstrip("\n"))
