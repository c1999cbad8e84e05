"""Bugs that we planted in proving, as `mutants` does in the rest."""

import contextlib
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import checkpoints, note, verify, whole_file
from ledger.checkpoint import Head
from ledger.prover import Prover
from ledger.sessions import Session
from tests.simulation import proving
from tests.simulation.mutant import Mutant, changed
from tests.simulation.mutants_witness import make_unflushed, write_unflushed
from tests.simulation.seams import Exchanged


def store_first(connection: Session, signed: str, head: Head, key: Ed25519PublicKey, folder: Any) -> None:  # noqa: ANN401  # a path in the shape of pathlib's
    """Store a checkpoint in PostgreSQL, then outside of it: as it was until the simulation found it."""
    connection.execute(checkpoints._STORE, [head.size, note.key_id(head.origin, note.SIGNATURE, key), signed])
    checkpoints.keep(folder, signed, head)


@contextlib.contextmanager
def beside_others(_folder: object) -> Iterator[None]:
    """Work in a folder, whoever does so too."""
    yield


MUTANTS = (
    Mutant(
        name="signed although it does not fit",
        run=proving.run,
        changes=(changed(Prover, "look", ("verdict.is_sound and verdict.entries", "verdict.entries")),),
        within=20,
    ),
    Mutant(
        name="what was signed is read in the database alone",
        run=proving.run,
        changes=(Exchanged(checkpoints, "_files", lambda *_, **__: iter(())),),
        within=20,
    ),
    Mutant(
        name="what was signed is stored in the database before it is kept outside",
        run=proving.run,
        changes=(Exchanged(checkpoints, "store", store_first),),
        within=50,
    ),
    Mutant(
        name="two provers keep what they signed at once, an older one last",
        run=proving.run,
        changes=(Exchanged(checkpoints, "alone_in", beside_others),),
        within=150,
    ),
    Mutant(
        name="an older checkpoint takes the place of a newer one",
        run=proving.run,
        changes=(changed(checkpoints, "keep", ("_size_of(path) < head.size", "True")),),
        within=20,
        first=200,
    ),
    Mutant(
        name="what was signed is stored before it lies on the disk outside",
        run=proving.run,
        changes=(Exchanged(checkpoints, "write_whole", write_unflushed),),
        within=20,
    ),
    Mutant(
        name="the folder of checkpoints is not flushed in the one above",
        run=proving.run,
        changes=(Exchanged(checkpoints, "make_folder", make_unflushed),),
        within=50,
    ),
    Mutant(
        name="a checkpoint has its name before its bytes are flushed",
        run=proving.run,
        changes=(changed(whole_file, "_written_beside", ("os.fsync(file.fileno())", "pass")),),
        within=20,
    ),
    Mutant(
        name="what lies outside alone is taken for stored",
        run=proving.run,
        changes=(changed(Prover, "_sign", (" or not anchor.is_stored", "")),),
        within=50,
    ),
    Mutant(
        name="the root of the tree is not compared with what was signed",
        run=proving.run,
        changes=(changed(verify._Verifying, "_extend", ("self._misfit = due", "pass")),),
        within=100,
    ),
)
