"""Numbers as files write them: exact decimals with the text they came from.

A number is read by the signs its mapping states and by no guess: where thousands are set apart, they must be set apart
rightly, so that `1,5` is never read as fifteen. Digits of other scripts count as digits.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal

from domain.quantity import LARGEST

Amount = tuple[Decimal, str]
"""The exact amount, and the number as it was written, without currency or unit."""

BLANKS = " \u00a0\u2007\u2009\u202f"
LONGEST_WRITTEN = 48
LARGEST_EXPONENT = 30
_SIGNS = {"\u2212": "-", "\u066b": ".", "\u066c": ",", "\u2007": "\u202f", "\u2009": "\u202f", "\u2019": "'"}


def reader(decimal: str, thousands: str, remove: Sequence[str]) -> Callable[[str], Amount]:
    """A function that reads numbers written with this decimal sign and these signs (or "") between thousands.

    It raises ValueError with the reason for what is no such number.
    """
    apart = f"[{re.escape(BLANKS)}]" if thousands == " " else re.escape(_plain(thousands))
    point = re.escape(_plain(decimal))
    whole = rf"[0-9]{{1,3}}(?:{apart}[0-9]{{2,3}}){{0,9}}{apart}[0-9]{{3}}|[0-9]+" if thousands else "[0-9]+"
    shape = re.compile(rf"([+-]?)((?:{whole})?)(?:{point}([0-9]*))?(?:[eE]([+-]?[0-9]{{1,3}}))?")
    unwanted = [text for text in sorted(remove, key=len, reverse=True) if text]

    def read(text: str) -> Amount:
        for part in unwanted:
            text = text.replace(part, "")
        text = _plain(text).strip(BLANKS)
        found = shape.fullmatch(text)
        if found is None or not (found[2] or found[3]):
            raise ValueError(f"is not a number{_expected(decimal, thousands)}")
        if len(text) > LONGEST_WRITTEN or abs(int(found[4] or 0)) > LARGEST_EXPONENT:
            raise ValueError("has more digits than any scale gives")
        sign, digits, places, power = found[1], re.sub("[^0-9]", "", found[2]), found[3], found[4]
        amount = Decimal(sign + (digits or "0") + (f".{places}" if places else "") + (f"E{power}" if power else ""))
        amount = Decimal(f"{amount:f}") if power else amount
        if amount > LARGEST:
            raise ValueError("has more digits than any scale gives")
        return amount, text

    return read


def _plain(text: str) -> str:
    """The text with the digits and signs of other scripts as 0-9 and their usual forms."""
    if text.isascii():
        return text
    return "".join(
        _SIGNS.get(letter) or (str(unicodedata.digit(letter)) if unicodedata.category(letter) == "Nd" else letter)
        for letter in text
    )


def _expected(decimal: str, thousands: str) -> str:
    between = "a blank" if thousands == " " else f"`{thousands}`"
    return f" with `{decimal}` for the decimals" + (f" and {between} between thousands" if thousands else "")
