r"""The closed vocabularies of a customs record, and the shapes of the codes of open ones.

A field that may travel without naming anyone is one of these: an enumeration, or text that a pattern holds to a code.
"Not reported" is an absent field; "unknown" is a value of its own (`XX` for a country, `unknown` in an enumeration).
A form is checked where data enter and before they are stored (`domain.forms`), never on construction. Patterns
end in `$(?!\n)`, because `$` alone lets a line feed pass behind the last sign.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from domain.forms import form

CountryCode = Annotated[str, form(r"^[A-Z]{2}$(?!\n)", "ISO 3166-1 alpha-2, XX for unknown")]
SubdivisionCode = Annotated[str, form(r"^[A-Z]{2}-[A-Z0-9]{1,3}$(?!\n)", "ISO 3166-2")]
UnLocode = Annotated[str, form(r"^[A-Z]{2}[A-Z2-9]{3}$(?!\n)", "UN/LOCODE without the space")]
OfficeCode = Annotated[str, form(r"^[A-Z0-9][A-Z0-9-]{1,15}$(?!\n)", "customs office")]
UnitCode = Annotated[str, form(r"^[A-Z0-9]{2,3}$(?!\n)", "UN/ECE Recommendation 20")]
CurrencyCode = Annotated[str, form(r"^[A-Z]{3}$(?!\n)", "ISO 4217")]
NodeCode = Annotated[str, form(r"^[A-Z]{2}[A-Z0-9-]{0,10}$(?!\n)", "a node of the network")]
ListName = Annotated[str, form(r"^[A-Z][A-Z0-9-]{1,23}$(?!\n)", "name of a code list")]
Edition = Annotated[str, form(r"^[0-9]{4}(-[0-9]{2}){0,2}$(?!\n)", "edition of a code list, a year or date")]
CodeValue = Annotated[str, form(r"^[A-Za-z0-9][A-Za-z0-9./+-]{0,39}$(?!\n)", "a value of a code list")]
HsDigits = Annotated[str, form(r"^[0-9]{2}([0-9]{2}){0,4}$(?!\n)", "2 to 10 digits")]
InstrumentCode = Annotated[str, form(r"^[A-Z0-9][A-Z0-9.:/-]{1,39}$(?!\n)", "code of a legal instrument")]
ProvisionCode = Annotated[str, form(r"^[A-Z0-9][A-Z0-9.:/-]{1,39}$(?!\n)", "code of a statute's provision")]
Text = Annotated[
    str,
    form(
        "^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*$",
        "words typed by hand, without control or direction-changing characters",
        least=1,
        most=10_000,
    ),
]
Line = Annotated[
    str,
    form(
        "^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*$(?!\n)",
        "one line of words typed by hand",
        least=1,
        most=200,
    ),
]

UNKNOWN_COUNTRY = "XX"


class Coded(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A value of an open code list, with the edition of the list it was taken from."""

    list: ListName
    edition: Edition
    code: CodeValue


class HsCode(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A commodity code of the Harmonized System (or its national extension), with its edition: 2017 is not 2022."""

    edition: Edition
    digits: HsDigits


class Section(StrEnum):
    """The commodity section: what kind of contraband it is."""

    DRUGS = "drugs"
    TOBACCO = "tobacco"
    ALCOHOL = "alcohol"
    PRECURSORS = "precursors"
    INTELLECTUAL_PROPERTY = "intellectual-property"
    MEDICINES = "medicines"
    WILDLIFE = "wildlife"
    ENVIRONMENT = "environment"
    WEAPONS = "weapons"
    STRATEGIC = "strategic"
    CURRENCY = "currency"
    CULTURE = "culture"
    PROHIBITED = "prohibited"
    REVENUE = "revenue"
    OTHER = "other"


class SeizureKind(StrEnum):
    """What became of the goods at the moment of discovery."""

    SEIZURE = "seizure"
    DETENTION = "detention"
    SURRENDER = "surrender"
    FIND = "find"


class Direction(StrEnum):
    """The way or procedure in which the goods moved."""

    IMPORT = "import"
    EXPORT = "export"
    TRANSIT = "transit"
    TRANSHIPMENT = "transhipment"
    INTERNAL = "internal"
    WAREHOUSING = "warehousing"
    FREE_ZONE = "free-zone"
    UNKNOWN = "unknown"


class Detection(StrEnum):
    """How it was found."""

    ROUTINE = "routine"
    RANDOM = "random"
    RISK_PROFILE = "risk-profile"
    WATCH_LIST = "watch-list"
    INTELLIGENCE = "intelligence"
    FOREIGN_CUSTOMS = "foreign-customs"
    OTHER_AGENCY = "other-agency"
    TIP_OFF = "tip-off"
    CANINE = "canine"
    X_RAY = "x-ray"
    TRACE = "trace"
    BODY_SEARCH = "body-search"
    DOCUMENT_CHECK = "document-check"
    LABORATORY = "laboratory"
    PATROL = "patrol"
    CONTROLLED_DELIVERY = "controlled-delivery"
    AUDIT = "audit"
    ACCIDENTAL = "accidental"
    UNKNOWN = "unknown"


class Concealment(StrEnum):
    """Where it was hidden."""

    NONE = "none"
    AMONG_GOODS = "among-goods"
    INSIDE_GOODS = "inside-goods"
    PACKAGING = "packaging"
    CONTAINER_STRUCTURE = "container-structure"
    FALSE_COMPARTMENT = "false-compartment"
    TANK = "tank"
    TYRES = "tyres"
    HULL = "hull"
    CABIN = "cabin"
    BAGGAGE = "baggage"
    ON_BODY = "on-body"
    SWALLOWED = "swallowed"
    MAIL = "mail"
    PREMISES = "premises"
    UNKNOWN = "unknown"


class ConveyanceKind(StrEnum):
    """The means of transport."""

    VESSEL = "vessel"
    AIRCRAFT = "aircraft"
    ROAD_VEHICLE = "road-vehicle"
    RAIL = "rail"
    MAIL = "mail"
    EXPRESS = "express"
    PEDESTRIAN = "pedestrian"
    INLAND_VESSEL = "inland-vessel"
    FIXED = "fixed"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What became of one line of goods; a shipment's lines may end differently."""

    SEIZED = "seized"
    DETAINED = "detained"
    ABANDONED = "abandoned"
    FORFEITED = "forfeited"
    DESTROYED = "destroyed"
    RETURNED = "returned"
    REEXPORTED = "re-exported"
    REFUSED = "refused"
    CLEARED = "cleared"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Qualifier(StrEnum):
    """How a quantity came to be known."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    COUNTED = "counted"
    LABORATORY = "laboratory"
    NOT_STATED = "not-stated"


class Reason(StrEnum):
    """Why something on record is changed; words of explanation are a remark, which is personal."""

    ENTRY_ERROR = "entry-error"
    LABORATORY_RESULT = "laboratory-result"
    RECOUNT = "recount"
    RECLASSIFIED = "reclassified"
    SOURCE_STATED = "source-stated"
    DUPLICATE = "duplicate"
    INCOMPLETE = "incomplete"
    NEW_INFORMATION = "new-information"
    LEGAL_DECISION = "legal-decision"


class PartyRole(StrEnum):
    """The part a person or business had."""

    COURIER = "courier"
    DRIVER = "driver"
    PASSENGER = "passenger"
    CREW = "crew"
    CONSIGNOR = "consignor"
    CONSIGNEE = "consignee"
    DECLARANT = "declarant"
    CARRIER = "carrier"
    OWNER = "owner"
    ORGANISER = "organiser"
    VICTIM = "victim"
    WITNESS = "witness"
    UNKNOWN = "unknown"


class SubjectCategory(StrEnum):
    """The category of data subject, assigned per case (Directive (EU) 2016/680, article 6)."""

    SUSPECT = "suspect"
    CONVICTED = "convicted"
    VICTIM = "victim"
    OTHER_PARTY = "other-party"
    NOT_YET_KNOWN = "not-yet-known"


class DocumentKind(StrEnum):
    """The kind of an identity or transport document."""

    PASSPORT = "passport"
    IDENTITY_CARD = "identity-card"
    DRIVING_LICENCE = "driving-licence"
    BILL_OF_LADING = "bill-of-lading"
    AIR_WAYBILL = "air-waybill"
    DECLARATION = "declaration"
    PARCEL = "parcel"
    CONTAINER = "container"
    INVOICE = "invoice"
    OTHER = "other"


class OffenceType(StrEnum):
    """What the law calls it."""

    SMUGGLING = "smuggling"
    CONCEALMENT = "concealment"
    NON_DECLARATION = "non-declaration"
    FALSE_DESCRIPTION = "false-description"
    FALSE_QUANTITY = "false-quantity"
    FALSE_ORIGIN = "false-origin"
    FALSE_VALUE = "false-value"
    FALSE_CLASSIFICATION = "false-classification"
    TRANSIT_DIVERSION = "transit-diversion"
    EXEMPTION_ABUSE = "exemption-abuse"
    INTELLECTUAL_PROPERTY = "intellectual-property"
    PROHIBITED_GOODS = "prohibited-goods"
    RESTRICTED_GOODS = "restricted-goods"
    WILDLIFE = "wildlife"
    CASH_CONTROL = "cash-control"
    MONEY_LAUNDERING = "money-laundering"
    DRUGS = "drugs"
    PRECURSORS = "precursors"
    EXCISE = "excise"
    STRATEGIC_GOODS = "strategic-goods"
    WEAPONS = "weapons"
    CULTURAL_PROPERTY = "cultural-property"
    WASTE = "waste"
    DOCUMENT_FRAUD = "document-fraud"
    OBSTRUCTION = "obstruction"
    OTHER = "other"
    UNKNOWN = "unknown"
