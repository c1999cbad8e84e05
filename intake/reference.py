"""Whether a code is in the lists we know: ISO 3166, ISO 4217, UN/ECE Recommendation 20, the chapters of the HS.

A code that is not there, or was withdrawn, is recorded and pointed out, never refused: old records must stay readable,
and our lists may be the ones that are old. Each function gives the reason to flag a code, or None.
"""

from functools import cache
from importlib import resources
from typing import Any

import msgspec

from domain.codes import UNKNOWN_COUNTRY

CHAPTERS = frozenset(f"{chapter:02}" for chapter in range(1, 100)) - {"77"}
"""The chapters of the Harmonized System: 77 is reserved, 98 and 99 are for national use."""
OWN_COUNTRIES = frozenset({UNKNOWN_COUNTRY, "XK", "EU"})
"""Unknown, Kosovo and the European Union, which are in use without being in ISO 3166-1."""


@cache
def country(code: str) -> str | None:
    """Whether a country code is in ISO 3166-1, or was."""
    if code in OWN_COUNTRIES or code in _codes("3166-1", "alpha_2"):
        return None
    if code in _codes("3166-3", "alpha_2"):
        return f"the country code {code} was withdrawn from ISO 3166-1"
    return f"the country code {code} is not in ISO 3166-1"


@cache
def subdivision(code: str) -> str | None:
    """Whether a code is in ISO 3166-2."""
    return None if code in _codes("3166-2", "code") else f"the code {code} is not in ISO 3166-2"


@cache
def currency(code: str) -> str | None:
    """Whether a code is in ISO 4217 as it is now."""
    return None if code in _codes("4217", "alpha_3") else f"the currency {code} is not in ISO 4217, or no longer"


@cache
def unit(code: str) -> str | None:
    """Whether a unit is in UN/ECE Recommendation 20, and still in use."""
    status = _units().get(code)
    if status is None:
        return f"the unit {code} is not in UN/ECE Recommendation 20"
    return f"the unit {code} was withdrawn from UN/ECE Recommendation 20" if status in "XD" and status else None


def hs(digits: str) -> str | None:
    """Whether a commodity code lies in a chapter of the Harmonized System."""
    return None if digits[:2] in CHAPTERS else f"the Harmonized System has no chapter {digits[:2]}"


@cache
def _codes(standard: str, key: str) -> frozenset[str]:
    """All codes of an ISO standard. pycountry's own files are read, since its objects take half a second to make."""
    text = (resources.files("pycountry") / "databases" / f"iso{standard}.json").read_bytes()
    entries = msgspec.json.decode(text, type=dict[str, list[dict[str, Any]]])[standard]
    return frozenset(entry[key] for entry in entries if key in entry)


@cache
def _units() -> dict[str, str]:
    """Unit codes with their status: empty, X (deleted) or D (deprecated)."""
    text = (resources.files("intake") / "rec20.txt").read_text(encoding="ascii")
    statuses: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            status, _, codes = line.partition(":")
            statuses |= dict.fromkeys(codes.split(), status)
    return statuses
