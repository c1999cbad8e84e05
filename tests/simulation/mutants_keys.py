"""Bugs that we planted in keeping keys and files, as `mutants` does in the rest."""

from typing import Any

from ledger import certificates, epochs, keyring, whole_file
from tests.simulation import keeping
from tests.simulation.mutant import Mutant, changed
from tests.simulation.seams import Exchanged

NOT_MADE_TO_LAST: Any = lambda folder: folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: E731  # in its place
NO_FLUSH: Any = lambda _: None  # noqa: E731  # in its place

MUTANTS = (
    Mutant(
        name="no fsync of the folder after a rename",
        run=keeping.run,
        changes=(Exchanged(whole_file, "flush_folder", NO_FLUSH),),
        within=50,
    ),
    Mutant(
        name="a file has its name before its bytes are flushed",
        run=keeping.run,
        changes=(changed(whole_file, "_written_beside", ("os.fsync(file.fileno())", "pass")),),
        within=50,
    ),
    Mutant(
        name="a new folder of keys is not flushed in the one above",
        run=keeping.run,
        changes=(Exchanged(keyring, "make_folder", NOT_MADE_TO_LAST),),
        within=50,
    ),
    Mutant(
        name="the old epoch is destroyed before the new wrappings are written",
        run=keeping.run,
        changes=(
            changed(epochs, "_destroy_old", ("row != (False,)", "row is None")),
            changed(
                epochs,
                "rotate",
                ("rewrapped = _sweep(database_url, session, keyring, target)", "rewrapped = 0"),
                (
                    "target))\n    return",
                    "target))\n        _sweep(database_url, session, keyring, target)\n    return",
                ),
            ),
        ),
        within=20,
    ),
    Mutant(
        name="writers are not refused while an epoch ends",
        run=keeping.run,
        changes=(
            Exchanged(epochs, "_guard", lambda *_: None),
            changed(epochs, "_destroy_old", ("row != (False,)", "row is None")),
        ),
        within=200,
    ),
    Mutant(
        name="keys go before their certificate is flushed",
        run=keeping.run,
        changes=(changed(certificates, "keep", ("os.fsync(file.fileno())", "pass")),),
        within=100,
    ),
)
