"""A pseudonym: what stands for a person or business where who it is is not shown, such as `P-7KQ4-M2XD-9TBC`.

It is computed from the record's id under a secret of the node: the same person has the same pseudonym in every answer
of this node, and another at every other node. Without the secret nobody can compute it, nor try whether it is
somebody's. Sixty bits are told, so that two of a million persons do not share one.
"""

import hashlib
import hmac
import re
from uuid import UUID

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that reads like another or like a digit."""
LABEL = b"ncen pseudonym v1"
LENGTH = 12
BITS = 5 * LENGTH
TEXT = re.compile(r"P-?([0-9A-HJKMNP-TV-Z]{4})-?([0-9A-HJKMNP-TV-Z]{4})-?([0-9A-HJKMNP-TV-Z]{4})", re.IGNORECASE)


class Pseudonym(UUID):
    """Stands in the place of a record's id, and reads as `P-7KQ4-M2XD-9TBC`; it is the id of no record."""

    __slots__ = ()

    def __str__(self) -> str:
        """As it is shown and typed."""
        told = "".join(LETTERS[self.int >> 5 * place & 31] for place in reversed(range(LENGTH)))
        return f"P-{told[:4]}-{told[4:8]}-{told[8:]}"


def pseudonym_of(secret: bytes, subject: UUID) -> Pseudonym:
    """The pseudonym of a person or business, by its record's id, under a node's secret."""
    if isinstance(subject, Pseudonym):
        return subject
    told = hmac.digest(secret, LABEL + subject.bytes, hashlib.sha256)
    return Pseudonym(int=int.from_bytes(told[:8], "big") >> 64 - BITS)


def pseudonym_in(text: str) -> Pseudonym | None:
    """The pseudonym that was typed, or None where it is none."""
    found = TEXT.fullmatch(text.strip())
    if found is None:
        return None
    number = 0
    for letter in "".join(found.groups()).upper():
        number = number << 5 | LETTERS.index(letter)
    return Pseudonym(int=number)
