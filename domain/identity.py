"""What can be said of a person or a business: names, births, documents, addresses and the like.

Everything here is personal, a company's name included, and lives in personal events only. A value is kept as it was
given: a name in its script, a document number with its spaces; check digits are flagged elsewhere and never refuse.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.codes import CountryCode, DocumentKind, Line, Text
from domain.forms import form

ScriptCode = Annotated[str, form(r"^[A-Z][a-z]{3}$(?!\n)", "ISO 15924")]
Year = Annotated[int, Meta(ge=1850, le=2200)]
Mrz = Annotated[
    str,
    form(
        r"^([A-Z0-9<]{30}(\n[A-Z0-9<]{30}){2}|[A-Z0-9<]{36}\n[A-Z0-9<]{36}|[A-Z0-9<]{44}\n[A-Z0-9<]{44})$(?!\n)",
        "the machine-readable zone, its lines one below the other (ICAO Doc 9303)",
    ),
]


class NameKind(StrEnum):
    """Which of a person's names it is."""

    CURRENT = "current"
    BIRTH = "birth"
    FORMER = "former"
    ALIAS = "alias"
    NICKNAME = "nickname"
    RELIGIOUS = "religious"


class Sex(StrEnum):
    """As a document gives it."""

    FEMALE = "female"
    MALE = "male"
    UNSPECIFIED = "unspecified"
    UNKNOWN = "unknown"


class ContactKind(StrEnum):
    """How somebody can be reached."""

    PHONE = "phone"
    EMAIL = "email"
    MESSENGER = "messenger"
    WEBSITE = "website"


class BusinessNameKind(StrEnum):
    """Which of a business's names it is."""

    REGISTERED = "registered"
    TRADING = "trading"
    FORMER = "former"
    SHORT = "short"


class IdentifierScheme(StrEnum):
    """Whose number it is."""

    TIN = "tin"
    EORI = "eori"
    LEI = "lei"
    VAT = "vat"
    REGISTRATION = "registration"
    LICENCE = "licence"
    OTHER = "other"


class BusinessRole(StrEnum):
    """What a business does in trade."""

    IMPORTER = "importer"
    EXPORTER = "exporter"
    BROKER = "broker"
    FORWARDER = "forwarder"
    CARRIER = "carrier"
    EXPRESS_CARRIER = "express-carrier"
    WAREHOUSE_KEEPER = "warehouse-keeper"
    MANUFACTURER = "manufacturer"
    RETAILER = "retailer"
    MARKETPLACE = "marketplace"
    FINANCIAL = "financial"
    OTHER = "other"


class ClosureKind(StrEnum):
    """How a business came to its end."""

    DISSOLVED = "dissolved"
    STRUCK_OFF = "struck-off"
    INSOLVENT = "insolvent"
    TAKEN_OVER = "taken-over"
    CEASED = "ceased"
    UNKNOWN = "unknown"


class Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", omit_defaults=True):
    """One thing said of a person or business."""


class PersonName(Said, frozen=True, kw_only=True, tag="person-name"):
    """A name of a person, whole and, where they are known, in its parts."""

    full: Line
    family: Line | None = None
    given: Line | None = None
    script: ScriptCode | None = None
    transliteration: Line | None = None
    kind: NameKind | None = None


class Birth(Said, frozen=True, kw_only=True, tag="birth"):
    """When and where somebody was born, as closely as it is known."""

    on: date | None = None
    year: Year | None = None
    country: CountryCode | None = None
    place: Line | None = None


class Nationality(Said, frozen=True, kw_only=True, tag="nationality"):
    """A nationality that somebody holds."""

    country: CountryCode


class SexStated(Said, frozen=True, kw_only=True, tag="sex"):
    """The sex that a document gives."""

    sex: Sex


class IdentityDocument(Said, frozen=True, kw_only=True, tag="identity-document"):
    """A document of identity, as it was read."""

    kind: DocumentKind
    number: Line
    country: CountryCode | None = None
    issued_on: date | None = None
    expires_on: date | None = None
    mrz: Mrz | None = None


class Address(Said, frozen=True, kw_only=True, tag="address"):
    """Where somebody lives or a business has its seat, as it was given."""

    text: Text
    city: Line | None = None
    postcode: Line | None = None
    country: CountryCode | None = None


class Contact(Said, frozen=True, kw_only=True, tag="contact"):
    """A telephone number, mail address or the like."""

    kind: ContactKind
    value: Line


class Description(Said, frozen=True, kw_only=True, tag="description"):
    """Lasting physical characteristics, in words."""

    text: Text
    height_cm: Annotated[int, Meta(ge=30, le=260)] | None = None


class BusinessName(Said, frozen=True, kw_only=True, tag="business-name"):
    """A name of a business."""

    name: Line
    kind: BusinessNameKind | None = None
    script: ScriptCode | None = None
    transliteration: Line | None = None


class Identifier(Said, frozen=True, kw_only=True, tag="identifier"):
    """A number under which a business is registered somewhere."""

    scheme: IdentifierScheme
    number: Line
    country: CountryCode | None = None


class RoleHeld(Said, frozen=True, kw_only=True, tag="role"):
    """What a business does in trade."""

    role: BusinessRole


class Closure(Said, frozen=True, kw_only=True, tag="closure"):
    """That a business came to its end."""

    kind: ClosureKind
    on: date | None = None
