"""Text as an index sees it: folded so that spellings of the same word meet, whatever the script and keyboard.

Everything is folded here, in Python, before PostgreSQL sees it, and queries are folded the same way: compatibility
forms, case and optional marks fall away, Arabic letters that are written one for another become one, digits become
ASCII, scripts without spaces become pairs of characters, and a Latin transliteration stands beside every foreign word
at the same place. No text-search parser of the server is involved, so that a server cannot change what is found.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from anyascii import anyascii

LONGEST_WORD = 100
LAST_PLACE = 16_383
"""PostgreSQL counts places in a text no further than this."""

KEPT_MARKS = {8, 9}
"""Combining classes of marks that tell words apart: the kana voicing marks and the Indic virama."""

ARABIC = str.maketrans(
    {
        **dict.fromkeys("\u0671", "\u0627"),  # alef wasla is alef
        **dict.fromkeys("\u0649\u06cc\u06d0\u06d2", "\u064a"),  # alef maksura and the Persian and Urdu yehs are yeh
        **dict.fromkeys("\u0629\u06d5\u06c0\u06c1\u06be\u06c3", "\u0647"),  # teh marbuta and the Urdu hehs are heh
        **dict.fromkeys("\u06a9\u06aa", "\u0643"),  # the Persian and Sindhi kafs are kaf
        **dict.fromkeys("\u0621\u0640", ""),  # a hamza by itself and the stretching stroke fall away
    }
)
"""Letters of the Arabic script that are written one for another."""
SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
ASCII_WORDS = re.compile("[a-z0-9]+")
APOSTROPHES = re.compile("['`\u00b4\u02b9-\u02bf\u2018-\u201b\u2032\uff07]")


class _Letters(dict[int, str]):
    """What each character becomes; filled as characters are met, so that `str.translate` runs at its full speed."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        self[point] = folded = _folded_character(character)
        return folded


def _folded_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if unicodedata.combining(character) and unicodedata.combining(character) not in KEPT_MARKS:
        return ""
    if category == "Cf":
        return ""
    if category[0] not in "LNM":
        return " "
    if not character.isascii() and unicodedata.name(character, "").startswith("LATIN "):
        return anyascii(character).lower()
    return character.translate(ARABIC)


_LETTERS = _Letters()


def folded(text: str) -> str:
    """The words of a text in folded form, with single spaces between them.

    Marks that a script may leave out (accents, vowel points, hamza) fall away; letters and digits stay, all else is a
    space.
    """
    if text.isascii():
        return " ".join(ASCII_WORDS.findall(text.lower()))
    loosened = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(unicodedata.normalize("NFC", loosened.translate(_LETTERS)).split())


def latin(text: str) -> str:
    """The words of a text in Latin letters, folded: how a reader of passports would write them."""
    if text.isascii():
        return folded(text)
    return folded(anyascii(unicodedata.normalize("NFKC", text)))


def compact(text: str) -> str:
    """The letters and digits of a number as it was read: `AB-123 CD` is `ab123cd`, so that its spacing never counts."""
    return folded(text).replace(" ", "")


def pieces(word: str) -> Iterator[str]:
    """What a folded word is indexed as: itself; where its script writes no spaces, its pairs and last characters."""
    place = 0
    for run in SPACELESS.finditer(word):
        if run.start() > place:
            yield word[place : run.start()]
        characters = run.group()
        yield from (characters[at : at + 2] for at in range(len(characters)))
        place = run.end()
    if place < len(word):
        yield word[place:]


def lexemes(text: str) -> list[tuple[str, int]]:
    """The indexed words of a text with their places, transliterations beside them at the same place."""
    found: list[tuple[str, int]] = []
    place = 0
    for word in folded(text).split():
        if word.isascii():
            place += 1
            found.append((word[:LONGEST_WORD], place))
            continue
        for piece in pieces(word):
            place += 1
            found.extend((spelling, place) for spelling in spellings(piece))
    return found


def spellings(piece: str) -> tuple[str, ...]:
    """A piece of a folded word as it stands and, where it is not Latin, in Latin letters."""
    piece = piece[:LONGEST_WORD]
    if piece.isascii():
        return (piece,)
    beside = latin(piece).replace(" ", "")[:LONGEST_WORD]
    return (piece, beside) if beside and beside != piece else (piece,)


def vector(texts: Iterable[str], numbers: Iterable[str] = ()) -> str:
    """A PostgreSQL `tsvector` literal of texts, and of numbers as they are written and without their spacing."""
    places: dict[str, list[int]] = {}
    offset = 0
    for text in (*texts, *numbers):
        words = lexemes(text)
        for word, place in words:
            places.setdefault(word, []).append(min(place + offset, LAST_PLACE))
        offset += (words[-1][1] if words else 0) + 1
    for number in numbers:
        places.setdefault(compact(number)[:LONGEST_WORD], []).append(LAST_PLACE)
    return " ".join(f"{_quoted(word)}:{','.join(map(str, at[:255]))}" for word, at in sorted(places.items()) if word)


QUERY_PARTS = re.compile(r'(-?)"([^"]*)"|(\S+)')


def query(text: str) -> str:
    """A PostgreSQL `tsquery` literal: every word must occur; `"words in order"`, `-not` and `begin*` are understood.

    An empty result means that nothing in the text can be searched for.
    """
    terms: list[str] = []
    for minus, phrase, word in QUERY_PARTS.findall(unicodedata.normalize("NFKC", text)):
        is_not = bool(minus) or (word.startswith("-") and len(word) > 1)
        is_prefix = word.endswith("*")
        steps = [
            _alternatives(piece, is_prefix=is_prefix or (len(piece) == 1 and bool(SPACELESS.fullmatch(piece))))
            for folded_word in folded(phrase or word).split()
            for piece in _sought(folded_word)
        ]
        if not steps:
            continue
        term = " <-> ".join(steps)
        spacing = compact(word)
        if len(steps) > 1 and word and any(map(str.isdigit, word)):
            term = f"({term}) | {_quoted(spacing)}"
        terms.append(f"!({term})" if is_not else f"({term})")
    return " & ".join(terms)


def _sought(word: str) -> Iterator[str]:
    """The pieces a query asks for: as indexed, without the single character that ends a run of several."""
    found = list(pieces(word))
    for at, piece in enumerate(found):
        is_tail = len(piece) == 1 and at and len(found[at - 1]) == 2 and found[at - 1][1] == piece
        if not (is_tail and SPACELESS.fullmatch(piece)):
            yield piece


def _alternatives(piece: str, *, is_prefix: bool) -> str:
    mark = ":*" if is_prefix else ""
    either = [f"{_quoted(spelling)}{mark}" for spelling in spellings(piece)]
    return either[0] if len(either) == 1 else f"({' | '.join(either)})"


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
