"""Particulars of a seizure: where it was, and the plates and documents that were noted."""

from typing import Annotated

import msgspec
from msgspec import Meta

from domain.codes import CountryCode, DocumentKind, Line
from domain.goods import GoodsLine

KIND = "seizure"
MOST_LINES = 10_000
UNNAMED_SOURCE = "unnamed"
"""The source of a seizure that was told by a source which does not say who it is."""

Lines = Annotated[tuple[GoodsLine, ...], Meta(min_length=1, max_length=MOST_LINES)]
Route = Annotated[tuple[CountryCode, ...], Meta(max_length=30)]


class Plate(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A registration plate, hull or vehicle number, as it was read."""

    number: Line
    country: CountryCode | None = None


class Document(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A document by its kind and number, as it was read."""

    kind: DocumentKind
    number: Line
    country: CountryCode | None = None
