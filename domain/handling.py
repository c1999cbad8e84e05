"""What may be done with what is shared: handling codes, onward rule, data categories, and the kinds of legal premise.

The handling codes are those of the field (H0 to H3); they may be tightened by whoever holds the data and loosened by
their owner only.
"""

from enum import StrEnum


class Handling(StrEnum):
    """What a receiver may do with it; a higher code is a tighter one."""

    H0 = "H0"
    """For law enforcement only."""
    H1 = "H1"
    """Not as evidence in judicial proceedings without the sender's permission."""
    H2 = "H2"
    """Not to be passed on without the sender's permission."""
    H3 = "H3"
    """Under further conditions: ask the sender before any use."""


class Onward(StrEnum):
    """Whether a receiver may pass it on."""

    NONE = "none"
    WITH_CONSENT = "with-consent"


class DataCategory(StrEnum):
    """Whether it names someone: open data name no one, nominal data do."""

    OPEN = "open"
    NOMINAL = "nominal"


class PremiseKind(StrEnum):
    """On what a transfer rests (Directive (EU) 2016/680, articles 36 to 38, in the words of any law like it)."""

    ADEQUACY = "adequacy"
    BINDING_INSTRUMENT = "binding-instrument"
    SELF_ASSESSMENT = "self-assessment"
    DEROGATION = "derogation"
    """For a single case only: nothing flows by itself on a derogation."""


class PremiseReason(StrEnum):
    """Why a premise was suspended or ended."""

    BREACH = "breach"
    LACK_OF_RECIPROCITY = "lack-of-reciprocity"
    SAFEGUARDS_LOST = "safeguards-lost"
    SECURITY_INCIDENT = "security-incident"
    REVIEW = "review"
    COURT_DECISION = "court-decision"
    AUTHORITY_DECISION = "authority-decision"
    INSTRUMENT_TERMINATED = "instrument-terminated"
    REPLACED = "replaced"
    ENTRY_ERROR = "entry-error"


def tighter(one: Handling, other: Handling) -> Handling:
    """The tighter of two handling codes."""
    return max(one, other)
