"""What is recorded in every measurement: invented seizures with the facts that an officer would give.

The named measurements record one open event a command, so that the baseline can write exactly the same bytes; the
mixed ones add a personal account in words to every second seizure.
"""

import datetime as dt
from uuid import UUID

import msgspec
import uuid_utils.compat

from cli.demo.invented import Inventor
from cli.demo.wares import AURIA
from domain.attribution import Attribution, Purpose, Role
from domain.seizure import RecordSeizure

NODE = "XA"
BY = Attribution(actor="officer-01", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="XA:CUSTOMS-ACT:12")
VARIETY = 500
"""How many different seizures are told, over and over, each time as a new record."""


def seizures(*, with_accounts: bool = False, variety: int = VARIETY) -> list[RecordSeizure]:
    """Invented seizures, the same in every run; `with_accounts` leaves every second one its account in words."""
    told = []
    for number, deed in enumerate(Inventor(AURIA, seed=7).seizures(variety, [], [])):
        assert isinstance(deed.command, RecordSeizure)
        account = f"Seizure {number}: found behind a false wall; no statement was made."
        is_personal = with_accounts and number % 2 == 1
        told.append(
            msgspec.structs.replace(
                deed.command, narrative=account if is_personal else None, plates=(), parties=(), documents=()
            )
        )
    return told


def new_id() -> UUID:
    """A UUIDv7, as every side uses for its records: they keep the index's pages together."""
    return uuid_utils.compat.uuid7()


def now() -> dt.datetime:
    """The present moment (UTC)."""
    return dt.datetime.now(dt.UTC)
