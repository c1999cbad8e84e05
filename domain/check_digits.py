"""Check digits of containers, ships, travel documents and legal entities.

Each function takes a number as it was read and says whether its check digit fits; spaces and hyphens do not count.
Nothing here refuses: real numbers are miswritten, and what was read is kept as it was read.
"""

import re
from itertools import cycle

_CONTAINER = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_SHIP = re.compile(r"(?:IMO)?([0-9]{7})")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_EORI = re.compile(r"[A-Z]{2}[A-Z0-9]{1,15}")
_SPACES = re.compile(r"[\s./-]+")


def _bare(number: str) -> str:
    return _SPACES.sub("", number).upper()


def is_container_number(number: str) -> bool:
    """Whether it is a freight container's number with a fitting check digit (ISO 6346)."""
    bare = _bare(number)
    if not _CONTAINER.fullmatch(bare):
        return False
    total = sum(_container_value(sign) << place for place, sign in enumerate(bare[:10]))
    return total % 11 % 10 == int(bare[10])


def _container_value(sign: str) -> int:
    """Letters count from 10 upwards and leave out the multiples of 11 (ISO 6346, annex A)."""
    if sign.isdigit():
        return int(sign)
    letter = ord(sign) - ord("A")
    return 10 + letter + (letter + 9) // 10


def is_ship_number(number: str) -> bool:
    """Whether it is a ship's IMO number with a fitting check digit (IMO Resolution A.1117(30))."""
    found = _SHIP.fullmatch(_bare(number))
    if not found:
        return False
    digits = [int(digit) for digit in found[1]]
    return sum(weight * digit for weight, digit in zip(range(7, 1, -1), digits, strict=False)) % 10 == digits[6]


def is_legal_entity_identifier(number: str) -> bool:
    """Whether it is a legal entity identifier with fitting check digits (ISO 17442, ISO/IEC 7064 MOD 97-10)."""
    bare = _bare(number)
    return bool(_LEI.fullmatch(bare)) and int("".join(str(int(sign, 36)) for sign in bare)) % 97 == 1


def has_eori_form(number: str) -> bool:
    """Whether it has the form of an EORI number: a country and up to 15 letters or digits; it has no check digit."""
    return bool(_EORI.fullmatch(_bare(number)))


def is_machine_readable_zone(mrz: str) -> bool:
    """Whether all check digits of a machine-readable zone fit (ICAO Doc 9303: TD1, TD2, TD3 and visas)."""
    lines = mrz.split("\n")
    shape = [len(line) for line in lines]
    if shape == [30, 30, 30]:
        return _fits_td1(lines[0], lines[1])
    if shape == [36, 36]:
        return _fits_two_lines(lines[0], lines[1], optional=None, composite=35)
    if shape == [44, 44]:
        return _fits_two_lines(lines[0], lines[1], optional=(28, 42), composite=43)
    return False


def _check_digit(field: str) -> str:
    total = 0
    for weight, sign in zip(cycle((7, 3, 1)), field, strict=False):
        total += weight * (0 if sign == "<" else int(sign, 36))
    return str(total % 10)


def _fits(field: str, digit: str) -> bool:
    """An empty optional field may leave its check digit empty too."""
    return digit == _check_digit(field) or (digit == "<" and not field.strip("<"))


def _fits_td1(first: str, second: str) -> bool:
    composite = first[5:30] + second[:7] + second[8:15] + second[18:29]
    is_long_number = first[14] == "<"  # a number of more than nine signs goes on in the optional field
    return (
        (is_long_number or _fits(first[5:14], first[14]))
        and _fits(second[:6], second[6])
        and _fits(second[8:14], second[14])
        and _fits(composite, second[29])
    )


def _fits_two_lines(first: str, line: str, *, optional: tuple[int, int] | None, composite: int) -> bool:
    is_visa = first.startswith("V")  # a visa has neither an optional field's check digit nor a composite one
    is_long_number = optional is None and line[9] == "<"
    fits_parts = (
        (is_long_number or _fits(line[:9], line[9])) and _fits(line[13:19], line[19]) and _fits(line[21:27], line[27])
    )
    if is_visa or not fits_parts:
        return fits_parts
    if optional and not _fits(line[optional[0] : optional[1]], line[optional[1]]):
        return False
    return _fits(line[:10] + line[13:20] + line[21:composite], line[composite])
