"""What a data subject's rights, a court or the law do to a record of a person or business: erased, restricted, held.

Grounds are codes of closed lists (Directive (EU) 2016/680, articles 5 and 16), so that what became of a record is told
openly without telling anything of whom it was about. A hold comes before erasure: what a proceeding needs stays. What
was erased takes nothing more.
"""

from enum import StrEnum

from domain.assertion import Subject
from domain.refused import Refused


class ErasureGrounds(StrEnum):
    """Why a subject is erased; a closed list."""

    RETENTION_EXPIRED = "retention-expired"
    """The time for which it may be kept is over (article 5)."""
    NO_LONGER_NECESSARY = "no-longer-necessary"
    """It is not needed any more for what it was recorded for (article 4)."""
    UNLAWFUL = "unlawful"
    """It should not have been processed (article 16, paragraph 2)."""
    LEGAL_OBLIGATION = "legal-obligation"
    """A law orders it (article 16, paragraph 2)."""
    COURT_ORDER = "court-order"
    """A court orders it."""
    SUPERVISORY_ORDER = "supervisory-order"
    """The supervisory authority orders it (article 47)."""
    SUBJECT_REQUEST = "subject-request"
    """The subject asked for it, and was right."""
    ORIGIN_ERASED = "origin-erased"
    """The node that it came from erased it, and told us."""


class RestrictionGrounds(StrEnum):
    """Why a subject may be looked up no more, though it is kept; a closed list."""

    ACCURACY_CONTESTED = "accuracy-contested"
    """The subject says it is wrong, and nobody can tell (article 16, paragraph 3, point a)."""
    KEPT_AS_EVIDENCE = "kept-as-evidence"
    """It would be erased, but for being evidence (article 16, paragraph 3, point b)."""
    UNDER_REVIEW = "under-review"
    """Somebody is looking whether it may be kept."""
    COURT_ORDER = "court-order"
    """A court orders it."""


class HoldGrounds(StrEnum):
    """Why a subject may not be erased; a closed list."""

    PROCEEDINGS = "proceedings"
    """A criminal or administrative proceeding needs it."""
    COURT_ORDER = "court-order"
    """A court orders it."""
    SUPERVISORY_INQUIRY = "supervisory-inquiry"
    """The supervisory authority is looking into it."""
    SUBJECT_CLAIM = "subject-claim"
    """The subject needs it for a claim of their own."""


def require_erasable(subject: Subject) -> None:
    """Refuse to erase what is held."""
    if subject.held is not None:
        raise Refused(f"This record is on hold ({subject.held}) and cannot be erased: release the hold first.")


def require_not_erased(subject: Subject) -> None:
    """Refuse whatever else is asked of a record that was erased."""
    if subject.erased is not None:
        raise Refused(f"This record was erased ({subject.erased}): nothing more is recorded under its id.")


def as_erased(grounds: ErasureGrounds) -> dict[str, object]:
    """What changes in a subject when it is erased: all that was said of it goes."""
    return {"erased": grounds, "restricted": None, "statements": (), "merged": ()}
