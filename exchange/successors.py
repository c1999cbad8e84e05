"""How a peer's successor card is taken: what may be believed by its statements alone, and what only a person decides.

A card follows if its statements go on from the very ones that we know. An older one is refused. A revoked identity is
not believed by statements alone, since whoever stole it could have signed them; and two different successors signed by
the same key show that it was stolen. Both hold the peer: it is suspended until a person has compared a fingerprint
over another channel. Pure.
"""

from enum import StrEnum

import msgspec

from ledger.card_keys import CardKeys, Kind, Why


class Held(StrEnum):
    """Why a peer is suspended until a person decides which of its cards is its own."""

    REVOKED = "revoked"
    TWO_SUCCESSORS = "two-successors"


_ASK = (
    " Ask its administrator for the fingerprint of its card over another channel, and say"
    " `ncen peer replace CARD --fingerprint …`; until then nothing is exchanged with it."
)
SENTENCES: dict[Held, str] = {
    Held.REVOKED: "has revoked the key by which we know it, so that somebody else may have it." + _ASK,
    Held.TWO_SUCCESSORS: "has two different cards that follow upon the same key, so that the key was stolen." + _ASK,
}
ANOTHER = "is a peer already, with other keys, and this card does not follow upon them: a card never replaces them."
OLDER = "is a peer already, with keys that follow upon those of this card: it is an older one."


class Refusal(msgspec.Struct, frozen=True):
    """Why a card is not taken, to be said after the node's name; `holds` where it suspends the peer."""

    words: str
    holds: Held | None = None


def why_not(known: CardKeys, told: CardKeys, *, held: Held | None) -> Refusal | None:
    """Why a card is not believed by its statements alone; None where it is the one that we know, or follows upon it."""
    refusal = why_never(known, told)
    if refusal is not None:
        return Refusal(refusal)
    shared = _shared(known, told)
    if shared < len(known.statements):
        return Refusal(SENTENCES[Held.TWO_SUCCESSORS], Held.TWO_SUCCESSORS)
    further = told.statements[shared:]
    if any(one.kind is Kind.IDENTITY and one.why is Why.REVOKED for one in further):
        return Refusal(SENTENCES[Held.REVOKED], held or Held.REVOKED)
    return Refusal(SENTENCES[held]) if held is not None else None


def why_never(known: CardKeys, told: CardKeys) -> str | None:
    """Why a card is refused whoever has compared it: it is another node's, or older than the one that we know."""
    if _first(known) != _first(told):
        return ANOTHER
    return OLDER if _shared(known, told) == len(told.statements) < len(known.statements) else None


def _first(keys: CardKeys) -> tuple[str, bytes, bytes]:
    return keys.origin, keys.first_identity, keys.boxes[0].public_key


def _shared(known: CardKeys, told: CardKeys) -> int:
    """How many statements they have in common; each names the one before it, so that these are the first ones."""
    here = {one.digest for one in known.statements}
    return sum(one.digest in here for one in told.statements)
