"""A place: a country, and as close as a code can say it; a street or a position would be words, and personal."""

import msgspec

from domain.codes import Coded, CountryCode, SubdivisionCode, UnLocode


class Place(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Where: a country, and as close as a code can say it."""

    country: CountryCode
    locode: UnLocode | None = None
    subdivision: SubdivisionCode | None = None
    local: Coded | None = None
