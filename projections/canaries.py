"""How a value may lie in a file: every spelling that this program gives it, in every encoding that a file may have.

A name is kept as it was said, folded, in Latin letters and as keys by its sound; a number without its spacing. Files
hold text as UTF-8 or UTF-16, in hexadecimal digits, base64, JSON or a URL. What is too short to tell anybody from
anybody is not looked for.
"""

import base64
import json
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

from projections import names, text

LEAST_BYTES = 6
"""What is shorter lies everywhere by chance."""
LEAST_KEY = 9
"""A key by sound that is shorter is many people's."""
LEAST_WORD = 5


def forms(value: str, *, words: bool = False) -> dict[bytes, str]:
    """The bytes to look for, and in a word what form each is; `words` adds each word by itself, which may be another's.

    None where the value is too short to be looked for.
    """
    found: dict[bytes, str] = {}
    for spelled, how in _spelled(value, words=words):
        for pattern, encoded in _encoded(spelled):
            if len(pattern) >= LEAST_BYTES:
                found.setdefault(pattern, f"{how}{encoded}")
    return found


def _spelled(value: str, *, words: bool) -> Iterator[tuple[str, str]]:
    for written in dict.fromkeys((value, unicodedata.normalize("NFC", value), unicodedata.normalize("NFD", value))):
        yield written, "as given"
        yield written.casefold(), "in small letters"
        yield written.upper(), "in capitals"
    yield text.folded(value), "folded"
    yield text.latin(value), "in Latin letters"
    yield names.latin_name(value), "in Latin letters"
    if any(map(str.isdigit, value)):
        yield text.compact(value), "as a bare number"
    for key in sounds(value):
        yield key, "as a key by sound"
    if words:
        for word, _ in text.lexemes(value):
            if len(word) >= LEAST_WORD:
                yield word, "a word of it"
        for word in value.split():
            if len(word) >= LEAST_WORD:
                yield word, "a word of it"


def sounds(value: str) -> list[str]:
    """The keys by its sound that a value is looked for by; another's key may begin with one."""
    return [key for key in names.keys(value) if key[0] in "+~" and len(key) >= LEAST_KEY]


def _encoded(spelled: str) -> Iterator[tuple[bytes, str]]:
    raw = spelled.encode()
    yield raw, ""
    yield spelled.encode("utf-16-le"), ", UTF-16"
    yield spelled.encode("utf-16-be"), ", UTF-16"
    yield raw.hex().encode(), ", hexadecimal"
    yield raw.hex().upper().encode(), ", hexadecimal"
    yield json.dumps(spelled)[1:-1].encode(), ", JSON"
    yield quote(spelled).encode(), ", URL"
    for shift in range(3):
        for alphabet in (b"+/", b"-_"):
            yield _base64(raw, shift, alphabet), ", base64"


def _base64(raw: bytes, shift: int, alphabet: bytes) -> bytes:
    """What of its base64 is the same whatever stands before it (by its length, modulo 3) and after it."""
    whole = base64.b64encode(bytes(shift) + raw, alphabet)
    begins = (0, 2, 3)[shift]
    ends = (shift + len(raw)) % 3
    return whole[begins : len(whole) - (0, 3, 2)[ends]]
