"""Short forms that a person can type: goods, quantities, places, parties, plates and documents.

Each form is read into plain values, which are then checked like any other command. What cannot be read is refused with
the name of its part and an example; a number that could mean two things is never guessed.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from cli.output import Misused
from domain.codes import Qualifier

HS_EDITION = "2022"
SUBSTANCES = ("SUBSTANCE", "2026")
DESCRIPTIONS = ("DESCRIPTION", "2026")
LOCAL_PLACES = ("PLACE", "2026")

GOODS_PARTS = ("section", "hs", "substance", "description", "origin", "quantity", "value", "outcome")
GOODS_EXAMPLE = "section=drugs,substance=cocaine,quantity=2.5 kg,origin=CO"

# Words people type for a unit, and its code in UN/ECE Recommendation 20; a code may be typed as well.
UNITS = {
    "kg": "KGM",
    "g": "GRM",
    "mg": "MGM",
    "t": "TNE",
    "lb": "LBR",
    "oz": "ONZ",
    "l": "LTR",
    "ml": "MLT",
    "hl": "HLT",
    "m": "MTR",
    "m2": "MTK",
    "m3": "MTQ",
    "pieces": "H87",
    "piece": "H87",
    "pcs": "H87",
    "items": "H87",
    "tablets": "H87",
    "cigarettes": "H87",
    "pairs": "PR",
    "packs": "NMP",
    "thousand": "MIL",
}
# The word for a code, where it is read.
UNIT_WORDS = {code: word for word, code in reversed(UNITS.items())}

_PART = re.compile(r",\s*(?=[a-z]+\s*=)")
_NUMBER = r"[0-9]+(?:[ '\u00a0\u202f][0-9]+)*(?:[.,][0-9]+)?"
_AMOUNT = re.compile(rf"^(?P<about>~|about\s+)?(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z][A-Za-z0-9]*)(?P<how>\s+.+)?$")
_WORTH = re.compile(rf"^(?P<number>{_NUMBER})\s*(?P<currency>[A-Za-z]{{3}})$")
_CODED = re.compile(r"^(?P<list>[^:]+):(?P<edition>[^:]+):(?P<code>[^:]+)$")


def goods(text: str) -> dict[str, object]:
    """A line of goods, such as `section=drugs,substance=cocaine,quantity=2.5 kg,origin=CO`; an empty part is None."""
    told = _parts(text)
    return {name: _goods_part(name, value) for name, value in told.items()}


def _parts(text: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for piece in _PART.split(text.strip()):
        name, equals, value = (word.strip() for word in piece.partition("="))
        if not equals or name not in GOODS_PARTS:
            raise Misused(
                f"Goods are told in parts such as {GOODS_EXAMPLE}; the part after "
                f"{_after(told)} is none of {', '.join(GOODS_PARTS)}."
            )
        if name in told:
            raise Misused(f"Goods: the part {name} is told twice.")
        told[name] = value
    return told


def _after(told: Mapping[str, str]) -> str:
    return f"`{list(told)[-1]}`" if told else "the beginning"


def _goods_part(name: str, value: str) -> object:  # noqa: PLR0911  # one arm for each part
    if not value:
        return None
    match name:
        case "hs":
            return hs(value)
        case "substance":
            return coded(value, SUBSTANCES, "Goods: the substance")
        case "description":
            return coded(value, DESCRIPTIONS, "Goods: the description")
        case "quantity":
            return quantity(value)
        case "value":
            return money(value)
        case "origin":
            return value.upper()
    return value


def quantity(text: str) -> dict[str, object]:
    """An amount with its unit, such as `2.5 kg`, `~40 l`, `200 cigarettes` or `12 KGM laboratory`."""
    found = _AMOUNT.match(text)
    if not found:
        raise Misused("Goods: the quantity is a number and a unit, such as `2.5 kg` or `200 pieces counted`.")
    unit = UNITS.get(found["unit"].lower(), found["unit"].upper())
    if not re.fullmatch(r"[A-Z0-9]{2,3}", unit):
        raise Misused(
            f"Goods: the unit of the quantity is not known: one of {', '.join(UNITS)}, or a code of UN/ECE Rec 20."
        )
    told: dict[str, object] = {"amount": number(found["number"], "Goods: the quantity"), "written": found["number"]}
    told |= {"unit": unit, "qualifier": _qualifier(found["how"], is_about=found["about"] is not None)}
    return told


def _qualifier(how: str | None, *, is_about: bool) -> str:
    if how is None:
        return Qualifier.ESTIMATED if is_about else Qualifier.NOT_STATED
    word = how.strip().lower()
    if word not in set(Qualifier):
        raise Misused(f"Goods: after the unit of a quantity may stand one of {', '.join(Qualifier)}.")
    return word


def money(text: str, what: str = "Goods: the value") -> dict[str, object]:
    """A worth with its currency, such as `12000 EUR`."""
    found = _WORTH.match(text)
    if not found:
        raise Misused(f"{what} is a number and a currency (ISO 4217), such as `12000 EUR`.")
    amount = number(found["number"], what)
    return {"amount": amount, "written": found["number"], "currency": found["currency"].upper()}


def number(text: str, what: str) -> Decimal:
    """A number as typed: thousands by a space or nothing, decimals after a point or a comma."""
    plain = re.sub("[ '\u00a0\u202f]", "", text)
    whole, comma, places = plain.partition(",")
    if comma and len(places) == 3 and whole != "0":
        raise Misused(
            f"{what} could mean two things: write 1500 or 1 500 for a thousand and a half, 1.500 for one and a half."
        )
    return Decimal(plain.replace(",", "."))


def hs(text: str) -> dict[str, object]:
    """A commodity code, such as `240220` (HS 2022) or `2017:240220`."""
    edition, colon, digits = text.partition(":")
    told = (edition, digits) if colon else (HS_EDITION, edition)
    return {"edition": told[0], "digits": re.sub("[. ]", "", told[1])}


def coded(text: str, default: tuple[str, str], what: str) -> dict[str, object]:
    """A value of a code list: `cocaine` (of our own list) or `LIST:EDITION:CODE`."""
    if ":" not in text:
        return {"list": default[0], "edition": default[1], "code": text}
    found = _CODED.match(text)
    if not found:
        raise Misused(f"{what} is a code, or LIST:EDITION:CODE, such as INCB:2024:CD-001.")
    return found.groupdict()


def place(text: str) -> dict[str, object]:
    """Where: a country (`CO`), a UN/LOCODE (`COBOG`), a subdivision (`CO-DC`), or several of them with spaces."""
    told: dict[str, object] = {}
    for word in re.split(r"[,\s]+", text.strip()):
        match word:
            case _ if re.fullmatch("[A-Za-z]{2}", word):
                told["country"] = word.upper()
            case _ if re.fullmatch("[A-Za-z]{2}[A-Za-z2-9]{3}", word):
                told["locode"] = word.upper()
            case _ if re.fullmatch("[A-Za-z]{2}-[A-Za-z0-9]{1,3}", word):
                told["subdivision"] = word.upper()
            case _ if _CODED.match(word):
                told["local"] = coded(word, LOCAL_PLACES, "--place")
            case _:
                raise Misused(
                    "--place is a country (CO), a UN/LOCODE (COBOG), a subdivision (CO-DC), or several with spaces."
                )
    within = next((str(told[part])[:2] for part in ("locode", "subdivision") if part in told), None)
    return {"country": within} | told if within else told


def countries(text: Iterable[str]) -> list[str]:
    """Countries in order, each typed for itself or several with commas."""
    return [word.upper() for one in text for word in re.split(r"[,\s>]+", one.strip()) if word]


def party(text: str) -> dict[str, object]:
    """Somebody's part, such as `ID:courier` or `ID:courier:suspect`."""
    words = text.split(":")
    if not 2 <= len(words) <= 3:
        raise Misused("A party is the id of a person or business and its role: ID:ROLE or ID:ROLE:CATEGORY.")
    return dict(zip(("party", "role", "category"), words, strict=False))


def plate(text: str) -> dict[str, object]:
    """A registration number, with its country where known: `B 1234 XY` or `B 1234 XY:DE`."""
    return _with_country({}, text)


def document(text: str) -> dict[str, object]:
    """A document, such as `passport:AB123456:PT` or `bill-of-lading:MSKU99`."""
    kind, colon, rest = text.partition(":")
    if not colon:
        raise Misused("A document is its kind and number: KIND:NUMBER or KIND:NUMBER:COUNTRY.")
    return _with_country({"kind": kind}, rest)


def _with_country(told: dict[str, object], text: str) -> dict[str, object]:
    number_, colon, country = text.rpartition(":")
    if colon and re.fullmatch("[A-Za-z]{2}", country):
        return told | {"number": number_, "country": country.upper()}
    return told | {"number": text}
