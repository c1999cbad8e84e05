"""Patterns of a mapping: regular expressions that cannot run away.

A pattern finds a code inside words (a vehicle number in a description). It says how often each part may repeat, so that
no text, however hostile, makes it search for long: `{1,20}` stands where others write `+`. What it is matched against
is cut to `LONGEST_SEARCHED` characters.
"""

import re
from collections.abc import Callable

LONGEST_PATTERN = 300
LONGEST_SEARCHED = 10_000
MOST_REPEATS = 200
MOST_WAYS = 1_000

NAMED = {
    "vin": r"\b[A-HJ-NPR-Z0-9]{17}\b",
    "container": r"\b[A-Z]{3}[UJZ] {0,1}[0-9]{6} {0,1}-{0,1}[0-9]\b",
    "imo": r"\bIMO[ :]{0,2}([0-9]{7})\b",
}
"""Patterns that a mapping may name instead of writing them: vehicle, container and ship numbers."""


def bounded(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of which every repetition is bounded.

    Raises:
        ValueError: it is no pattern, it repeats without a bound, or it could take too many ways; a sentence says which.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern is not a regular expression ({error.msg})") from None
    ways = _ways(pattern)
    if ways > MOST_WAYS:
        raise ValueError("the pattern can match in too many ways: make its repetitions {m,n} narrower")
    if compiled.groups > 1:
        raise ValueError("the pattern has more than one group: use (?:...) for all but the part to take")
    return compiled


def _ways(pattern: str) -> int:
    """In how many ways the repetitions of a pattern can be combined; refuse what has no bound."""
    ways, place, is_group = 1, 0, False
    while place < len(pattern):
        character = pattern[place]
        if character == "\\":
            if pattern[place + 1 : place + 2].isdigit():
                raise ValueError("the pattern refers back to what it found (\\1), which is not supported")
            place, is_group = place + 2, False
            continue
        if character == "[":
            place, is_group = _after_set(pattern, place), False
            continue
        if pattern.startswith("(?", place) and not pattern.startswith("(?:", place):
            raise ValueError("of the groups that begin with (? the pattern may use (?:...) alone")
        if character in "*+":
            raise ValueError("the pattern repeats without a bound: write {1,20} in place of + and {0,20} in place of *")
        if character == "?" and not pattern.startswith("(?:", place - 1):
            ways *= 2
        elif character == "|":
            ways += ways
        elif character == "{":
            ways *= _spread(pattern, place, is_group=is_group)
        is_group = character == ")"
        place += 1
    return ways


def _after_set(pattern: str, place: int) -> int:
    """Where a set of characters `[...]` ends; a `]` that stands first belongs to it."""
    place += 2 if pattern.startswith("[^", place) else 1
    place += 1 if pattern.startswith("]", place) else 0
    while pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place + 1


def _spread(pattern: str, place: int, *, is_group: bool) -> int:
    found = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{0,4}))?\}").match(pattern, place)
    if found is None:
        return 1  # a brace that stands for itself
    least, is_range, most = int(found[1]), found[2], found[3]
    if is_range and not most:
        raise ValueError("the pattern repeats without a bound: write {2,20} in place of {2,}")
    if is_group:
        raise ValueError("the pattern repeats a group: repeat single characters or sets [...] instead")
    highest = int(most) if is_range else least
    if highest > MOST_REPEATS:
        raise ValueError(f"the pattern repeats more than {MOST_REPEATS} times")
    return highest - least + 1


def finder(pattern: str) -> Callable[[str], list[str]]:
    """A function that finds all numbers of a named kind, or all that a pattern of the mapping's own finds, in a text.

    What is found is the pattern's group where it has one, else the whole match. Raises ValueError as `bounded` does.
    """
    compiled = re.compile(NAMED[pattern]) if pattern in NAMED else bounded(pattern)
    needs_digit = pattern == "vin"  # seventeen capital letters are a word

    def find(text: str) -> list[str]:
        found = (match[compiled.groups] for match in compiled.finditer(text[:LONGEST_SEARCHED]))
        return [part for part in found if part and not (needs_digit and part.isalpha())]

    return find
