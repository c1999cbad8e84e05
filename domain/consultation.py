"""On what grounds personal data are consulted: justifications from a closed list, and a reference they rest on.

The processing log must tell the justification of each consultation (Directive (EU) 2016/680, article 25); words typed
by hand might name someone, and so have no place in it.
"""

from enum import StrEnum
from typing import Annotated

from domain.forms import form


class Justification(StrEnum):
    """Why somebody looks."""

    OWN_CASE = "own-case"
    BORDER_CHECK = "border-check"
    ASSISTANCE = "assistance"
    SUPERVISION = "supervision"
    DATA_QUALITY = "data-quality"
    SUBJECT_REQUEST = "subject-request"
    COMPLAINT = "complaint"
    AUDIT = "audit"
    THREAT_TO_LIFE = "threat-to-life"
    FLIGHT_RISK = "flight-risk"
    EVIDENCE_AT_RISK = "evidence-at-risk"
    COURT_ORDER = "court-order"


Reference = Annotated[
    str, form(r"^[A-Za-z0-9][A-Za-z0-9./-]{0,39}$(?!\n)", "number of a case, order or request, never a name")
]
