"""Who had a part in a seizure or an offence, told on the command line as ID:ROLE or ID:ROLE:CATEGORY.

Whether a party is a person or a business is read from its record, which must be there: nobody is asked what the ledger
knows. The id of a party is opaque; nothing here prints a name.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import Parameter

from cli.acting import require_record
from cli.asking import from_flags
from cli.output import NotFound
from cli.typed import party
from domain.party import Party

if TYPE_CHECKING:
    from ledger.ledger import Ledger

PARTIES = ("person", "business")

PartyText = Annotated[str, Parameter(help="ID:ROLE or ID:ROLE:CATEGORY, such as 0192…:courier:suspect.")]


def part(text: str) -> Party:
    """A part as typed.

    Raises:
        Misused: it is not told as ID:ROLE or ID:ROLE:CATEGORY.
    """
    return from_flags(party(text), Party, {"party": "ID", "role": "ROLE", "category": "CATEGORY"})


def parties(ledger: "Ledger", texts: Iterable[str]) -> tuple[Party, ...]:
    """The parties as typed, each with what the ledger knows of its kind.

    Raises:
        Misused: a party is not told as ID:ROLE or ID:ROLE:CATEGORY.
        NotFound: a party is not on record as a person or business.
    """
    return tuple(_known(ledger, part(text)) for text in texts)


def _known(ledger: "Ledger", told: Party) -> Party:
    kind = require_record(ledger, told.party)[0].kind
    if kind not in PARTIES:
        raise NotFound(f"A party is a person or a business; {told.party} is the id of a {kind}.")
    return Party(party=told.party, is_business=kind == "business", role=told.role, category=told.category)


def other_record(ledger: "Ledger", other: UUID, kind: str) -> UUID:
    """The id of another record of this kind, which must be there."""
    require_record(ledger, other, kind)
    return other
