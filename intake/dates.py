"""Days as files write them, read by the formats a mapping states.

A format is written with letters that stand for parts (`DD.MM.YYYY`); no order of day and month is ever guessed. The
time of day is read past: a seizure has a day.
"""

import calendar
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
PARTS = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<short_year>[0-9]{2})",
    "MON": r"(?P<name>[^\W\d_]{1,15})\.?",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
    "hh": r"[0-9]{1,2}",
    "mm": r"[0-9]{2}",
    "ss": r"[0-9]{2}",
    "f": r"[0-9]{1,9}",
}
"""What the letters of a format stand for; anything else stands for itself, and so does what is in [brackets]."""
_TOKEN = re.compile(r"\[([^\]]*)\]|(YYYY|YY|MON|MM|M|DD|D|hh|mm|ss|f+)|(.)", re.DOTALL)

Day = Literal["first", "last"]


def reader(formats: Sequence[str], months: Sequence[str] = (), day: Day | None = None) -> Callable[[str], date]:
    """A function that reads a day written in one of these formats; it raises ValueError with the reason.

    `months` are the twelve names (or beginnings of them) that MON stands for; `day` is the day to take where a format
    tells only the month.

    Raises:
        ValueError: a format lacks a part or tells one twice, or the months are not twelve.
    """
    if months and len(months) != 12:
        raise ValueError("months are twelve names, from the first month to the last")
    shapes = [_shape(one, day) for one in formats]
    names = [name.casefold() for name in (months or MONTHS)]

    def read(text: str) -> date:
        for shape in shapes:
            if found := shape.fullmatch(text):
                return _day(found.groupdict(), names, day)
        raise ValueError(f"is not a day written as {' or '.join(formats)}")

    return read


def _shape(written: str, day: Day | None) -> re.Pattern[str]:
    shape = ""
    for literal, part, other in _TOKEN.findall(written):
        shape += PARTS["f" if part.startswith("f") else part] if part else re.escape(literal or other)
    try:
        compiled = re.compile(shape)
    except re.error:
        raise ValueError(f"the format {written} tells a part of the day twice") from None
    told = set(compiled.groupindex)
    if not (told & {"year", "short_year"} and told & {"month", "name"}):
        raise ValueError(f"the format {written} needs a year (YYYY or YY) and a month (MM, M or MON)")
    if "day" not in told and day is None:
        raise ValueError(f'the format {written} needs a day (DD or D), or day = "first" where only the month is told')
    return compiled


def _day(found: dict[str, str | None], names: list[str], day: Day | None) -> date:
    year = int(found.get("year") or 0)
    if short := found.get("short_year"):
        year = int(short) + (1900 if int(short) >= 70 else 2000)
    month = _month(found.get("name"), names) if found.get("name") else int(found.get("month") or 0)
    try:
        last = calendar.monthrange(year, month)[1]
        return date(year, month, int(found.get("day") or (last if day == "last" else 1)))
    except ValueError:
        raise ValueError("is not a day of the calendar") from None


def _month(name: str | None, names: list[str]) -> int:
    told = (name or "").casefold()
    for number, known in enumerate(names, start=1):
        if told == known or (len(known) >= 3 and told.startswith(known[:3])):
            return number
    raise ValueError("names a month that the mapping does not know")
