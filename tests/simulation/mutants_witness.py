"""Bugs that we planted in witnessing, as `mutants` does in the rest."""

from typing import Any

from exchange import cosigned, witness
from tests.simulation import witnessing
from tests.simulation.mutant import Mutant, changed
from tests.simulation.seams import Exchanged


def write_unflushed(path: Any, content: bytes) -> None:  # noqa: ANN401  # a path in the shape of pathlib's
    """Write a file and leave it to the drive."""
    with path.open("wb") as file:
        file.write(content)


def make_unflushed(folder: Any) -> None:  # noqa: ANN401  # the same
    """Make a folder and leave it to the drive."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


MUTANTS = (
    Mutant(
        name="cosigned without proof",
        run=witnessing.run,
        changes=(Exchanged(witness, "verify_consistency", lambda *_: True),),
        within=20,
    ),
    Mutant(
        name="a smaller tree is cosigned",
        run=witnessing.run,
        changes=(
            changed(witness, "_problem", ("head.size < size or", ""), ("asked.old > head.size", "False")),
            Exchanged(witness, "verify_consistency", lambda *_: True),
        ),
        within=20,
    ),
    Mutant(
        name="what was cosigned is forgotten by a crash",
        run=witnessing.run,
        changes=(
            Exchanged(cosigned.Cosigned, "read", lambda *_: None),
            Exchanged(cosigned.Cosigned, "write", lambda *_: None),
        ),
        is_synchronous=False,
        within=50,
    ),
    Mutant(
        name="what was cosigned is forgotten by a restore",
        run=witnessing.run,
        changes=(Exchanged(cosigned.Cosigned, "read", lambda *_: None),),
        within=50,
    ),
    Mutant(
        name="cosigned before it lies on the disk",
        run=witnessing.run,
        changes=(Exchanged(cosigned, "write_whole", write_unflushed),),
        within=50,
    ),
    Mutant(
        name="the folder of what was cosigned is not flushed in the one above",
        run=witnessing.run,
        changes=(Exchanged(cosigned, "make_folder", make_unflushed),),
        within=20,
        first=180,
    ),
)
