"""Particulars of a seizure: where it was, and the plates and documents that were noted."""

from typing import Annotated

import msgspec
from msgspec import Meta

from domain.codes import Coded, CountryCode, DocumentKind, Line, SubdivisionCode, UnLocode
from domain.goods import GoodsLine

KIND = "seizure"
MOST_LINES = 10_000

Lines = Annotated[tuple[GoodsLine, ...], Meta(min_length=1, max_length=MOST_LINES)]
Route = Annotated[tuple[CountryCode, ...], Meta(max_length=30)]


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where: a country, and as close as a code can say it."""

    country: CountryCode
    locode: UnLocode | None = None
    subdivision: SubdivisionCode | None = None
    local: Coded | None = None


class Plate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registration plate, hull or vehicle number, as it was read."""

    number: Line
    country: CountryCode | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document by its kind and number, as it was read."""

    kind: DocumentKind
    number: Line
    country: CountryCode | None = None
