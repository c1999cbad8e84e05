"""`ncen evidence …`: make a bundle that proves records to others, and print the program that checks it.

What names somebody stays sealed in a bundle unless `--open` asks for it, in a role that may disclose; what was erased
stays closed for ever. The verifier needs nothing of ncen.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter

from cli import output
from cli.acting import ACTING, Acting
from cli.consulting import Consulting, consult, require_known
from cli.output import BadInput, ExitCode
from cli.verify import opening, proving
from domain.attribution import Purpose, Role
from domain.refused import Refused

if TYPE_CHECKING:
    from cli.settings import Settings

app = App(name="evidence", help="Make a bundle that proves records elsewhere, and print what checks it.")
MAY_DISCLOSE = frozenset({Role.AUDITOR, Role.LEGAL_OFFICER, Role.SUPERVISOR, Role.CONTACT_POINT})


@app.command
def make(
    *record_ids: Annotated[UUID, Parameter(help="Which records.")],
    file: Annotated[Path | None, Parameter(name=("--output", "-o"), help="Where it goes; else it is printed.")] = None,
    opened: Annotated[bool, Parameter(name="--open", help="Let the reader open what names somebody.")] = False,
    without_attribution: Annotated[bool, Parameter(help="Do not show who acted; it stays provable.")] = False,
    acting: Acting = ACTING,
) -> None:
    """Make a bundle: the entries of records, their proofs, a signed checkpoint, its cosignatures, public keys."""
    from cli.proof import proven_in
    from ledger import evidence

    if not record_ids:
        raise output.Misused("Name at least one record: `ncen evidence make ID…`.")
    purpose = acting.purpose or Purpose.PROSECUTION
    consulting = Consulting(role=acting.role, purpose=purpose, legal_basis=acting.legal_basis)
    require_known(record_ids, consulting, opens=opened)
    with proving() as (connection, prover, settings):
        vault = opens = None
        if opened:
            _require_disclosing(acting, settings)
            opens = consult(record_ids, consulting)
            vault = opening(connection, settings)
        signer, proven = proven_in(connection, prover, evidence.lines_of(connection, list(dict.fromkeys(record_ids))))
        made = evidence.bundle(
            connection, proven, signer.keys, vault=vault, opens=opens, with_attribution=not without_attribution
        )
    raw = evidence.write(made)
    if file is None:
        sys.stdout.write(raw.decode())
        return
    try:
        file.write_bytes(raw)
        file.chmod(0o600)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.") from None
    witnesses = sorted(made.witnesses)
    data = {"file": str(file), "entries": len(made.entries), "size": proven.head.size, "witnesses": witnesses}
    by = ", ".join(witnesses) or "nobody yet"
    told = (
        f"{len(made.entries)} entries are in {file}, proven in the checkpoint for {proven.head.size}, cosigned by {by}."
    )
    output.show(data, told)


def _require_disclosing(acting: Acting, settings: "Settings") -> None:
    """Refuse to open what names somebody, unless somebody acts in a role that may disclose it."""
    by = acting.attribution(settings, role=Role.OFFICER, purpose=Purpose.PROSECUTION)
    if by.role not in MAY_DISCLOSE:
        roles = ", ".join(sorted(role.value for role in MAY_DISCLOSE))
        raise Refused(f"What names somebody is disclosed only by these roles: {roles}.")


@app.command
def verifier() -> None:
    """Print the program that checks a bundle on any machine with Python and the package `cryptography`."""
    from ledger.evidence import verifier as program

    sys.stdout.write(program())


@app.command
def check(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, key: tuple[str, ...] = ()) -> ExitCode:
    """Check a bundle with that program, here; end with 6 when it is refuted.

    Args:
        file: The bundle, or - for standard input.
        key: NAME=KEY, a fingerprint or public key known over another channel; may be given several times.
    """
    from ledger.given_file import Unusable, read
    from ledger.verify_evidence import MOST_BYTES, Refuted
    from ledger.verify_evidence import check as check_bundle

    try:
        raw = read(file, MOST_BYTES)
    except Unusable as error:
        raise BadInput(f"{file}: {error}.") from None
    try:
        lines = check_bundle(raw, dict(one.partition("=")[::2] for one in key))
    except Refuted as refuted:
        output.show({"proven": False, "why": str(refuted)}, f"REFUTED: {refuted}")
        return ExitCode.NOT_VERIFIED
    output.show({"proven": True, "told": lines}, *lines)
    return ExitCode.DONE
