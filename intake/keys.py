"""What makes a row the same seizure when it is imported again, and the ids that follow from it.

Ids are made with the node's own intake key: the same row of the same source has the same record id for ever, and an id
tells nothing of what identifies the row. A day or amount identifies by its meaning, so that a new spelling makes no new
record. Ids of one source begin alike, so that its records lie beside each other on disk.
"""

import hmac
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from domain.event import Command
from intake.cells import DayFrom, NumberFrom
from intake.mapping import Mapping
from intake.meaning import cells_of
from intake.reading import Cells, Columns, Unfit, day_reader, folded, number_reader, remembered
from intake.rows import tidy

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_SHIPMENT, _ROW = b"shipment", b"row"


class Keys:
    """The identities of a file's rows, by one mapping."""

    def __init__(self, mapping: Mapping, columns: Columns) -> None:
        """Make the readers of the identifying columns."""
        by_meaning = dict(_by_meaning(mapping, columns))
        self._row = [
            (columns.place(name), remembered(by_meaning.get(tidy(name)) or _words(None, columns)))
            for name in mapping.identity.columns
        ]
        self._shipment = []
        if (shipment := mapping.shipment) is not None:
            look = remembered(_words(shipment.missing, columns))
            self._shipment = [(columns.place(name), look) for name in shipment.key]

    def of(self, cells: Cells) -> bytes:
        """What identifies a row: its shipment's key, or where it has none its own identity."""
        if self._shipment:
            parts = [look(cells[place]) for place, look in self._shipment]
            if _NOTHING not in parts:
                return _SHIPMENT + b"".join(parts)
        return _ROW + b"".join([look(cells[place]) for place, look in self._row])


def is_shipment(key: bytes) -> bool:
    """Whether a key is that of a shipment, whose rows are lines of one seizure."""
    return key.startswith(_SHIPMENT)


def _part(text: str) -> bytes:
    """A part of a key: its length comes first, so that no two keys run into each other."""
    told = text.encode("utf-8", "surrogatepass")
    return len(told).to_bytes(4, "big") + told


_NOTHING = _part("")


def _words(own_missing: Sequence[str] | None, columns: Columns) -> Callable[[str], bytes]:
    missing = columns.missing(own_missing)

    def word(text: str) -> bytes:
        plain = folded(text)
        return _NOTHING if plain in missing else _part(plain)

    return word


def _by_meaning(mapping: Mapping, columns: Columns) -> list[tuple[str, Callable[[str], bytes]]]:
    """For columns that the mapping reads as a day or an amount: a reader of what they mean, however it is written."""
    found: list[tuple[str, Callable[[str], bytes]]] = []
    for field, cell in cells_of(mapping):
        if cell.column is None or field.startswith("check"):
            continue
        if isinstance(cell, DayFrom):
            found.append((tidy(cell.column), _or_words(_day(cell, columns), columns)))
        elif isinstance(cell, NumberFrom):
            found.append((tidy(cell.column), _or_words(_amount(cell, columns), columns)))
    return found


def _day(cell: DayFrom, columns: Columns) -> Callable[[str], str]:
    read = day_reader(cell, "identity", columns)
    row = _only_cell(cell.column, columns)
    return lambda text: str(read(row(text), []) or "")


def _amount(cell: NumberFrom, columns: Columns) -> Callable[[str], str]:
    read = number_reader(cell, "identity", columns, may_be_zero=True)
    row = _only_cell(cell.column, columns)

    def amount(text: str) -> str:
        found = read(row(text), [])
        return "" if found is None else f"{found[0].normalize():f}"

    return amount


def _only_cell(name: str | None, columns: Columns) -> Callable[[str], list[str]]:
    """A row that holds nothing but one cell."""
    place = columns.place(name or "")
    return lambda text: [*[""] * place, text]


def _or_words(read: Callable[[str], str], columns: Columns) -> Callable[[str], bytes]:
    words = _words(None, columns)

    def either(text: str) -> bytes:
        try:
            return _part(read(text))
        except Unfit:  # the row will be refused with its reason; here it only needs a place among the others
            return words(text)

    return either


class Ids:
    """The ids of one source's records and of the commands that tell them."""

    def __init__(self, intake_key: bytes, source: str) -> None:
        """Take the node's intake key and the name of the source."""
        self._key = intake_key
        self._source = len(source).to_bytes(1, "big") + source.encode("ascii")
        self._beginning = hmac.digest(intake_key, b"ncen source 1" + self._source, "sha256")[:6]

    def record(self, key: bytes, occurrence: int) -> UUID:
        """The id of the record that a row is: its key, and which of those with the same key it is, from 1."""
        told = b"ncen record 1" + self._source + occurrence.to_bytes(4, "big") + key
        return _uuid8(self._beginning + hmac.digest(self._key, told, "sha256")[:10])

    def command(self, record_id: UUID, version: int, command: Command) -> UUID:
        """The id of a command on a record as it stands: the same for the same telling of the same version."""
        told = b"ncen command 1" + record_id.bytes + version.to_bytes(4, "big") + _encoder.encode(command)
        return _uuid8(hmac.digest(self._key, told, "sha256")[:16])


def _uuid8(random: bytes) -> UUID:
    """RFC 9562, version 8: bits of our own choosing."""
    value = int.from_bytes(random, "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
