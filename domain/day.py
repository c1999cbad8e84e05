"""Days in the world: what is recorded as having happened lies in the past, and not before there were customs files."""

from datetime import date

from domain.attribution import Occasion
from domain.refused import Refused

EARLIEST_YEAR = 1900


def require_past(day: date, what: str, occasion: Occasion) -> None:
    """Refuse a day that lies after the day of recording (UTC) or before 1900; `what` names the day in the sentence."""
    if day > occasion.today:
        raise Refused(f"The day of {what} lies in the future.")
    if day.year < EARLIEST_YEAR:
        raise Refused(f"The day of {what} lies before {EARLIEST_YEAR}.")
