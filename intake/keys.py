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
from intake.reading import Cells, Columns, Unfit, day_reader, folded, number_reader
from intake.rows import tidy

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_SHIPMENT, _ROW = b"shipment", b"row"


class Keys:
    """The identities of a file's rows, by one mapping."""

    def __init__(self, mapping: Mapping, columns: Columns) -> None:
        """Make the readers of the identifying columns."""
        by_meaning = dict(_by_meaning(mapping, columns))
        self._row = [by_meaning.get(tidy(name)) or _by_words(name, None, columns) for name in mapping.identity.columns]
        shipment = mapping.shipment
        self._shipment = [_by_words(name, shipment.missing, columns) for name in shipment.key] if shipment else []

    def of(self, cells: Cells) -> bytes:
        """What identifies a row: its shipment's key, or where it has none its own identity."""
        if self._shipment:
            parts = [read(cells) for read in self._shipment]
            if all(parts):
                return _joined(_SHIPMENT, parts)
        return _joined(_ROW, [read(cells) for read in self._row])


def is_shipment(key: bytes) -> bool:
    """Whether a key is that of a shipment, whose rows are lines of one seizure."""
    return key.startswith(_SHIPMENT)


def _by_words(name: str, own_missing: Sequence[str] | None, columns: Columns) -> Callable[[Cells], str]:
    place, missing = columns.place(name), columns.missing(own_missing)

    def read(cells: Cells) -> str:
        text = folded(cells[place])
        return "" if text in missing else text

    return read


def _by_meaning(mapping: Mapping, columns: Columns) -> list[tuple[str, Callable[[Cells], str]]]:
    """For columns that the mapping reads as a day or an amount: a reader of what they mean, however it is written."""
    found: list[tuple[str, Callable[[Cells], str]]] = []
    for field, cell in cells_of(mapping):
        if cell.column is not None and not field.startswith("check"):
            if isinstance(cell, DayFrom):
                found.append((tidy(cell.column), _plain(_day(cell, columns), cell.column, columns)))
            elif isinstance(cell, NumberFrom):
                found.append((tidy(cell.column), _plain(_amount(cell, columns), cell.column, columns)))
    return found


def _day(cell: DayFrom, columns: Columns) -> Callable[[Cells], str]:
    read = day_reader(cell, "identity", columns)
    return lambda cells: str(read(cells, []) or "")


def _amount(cell: NumberFrom, columns: Columns) -> Callable[[Cells], str]:
    read = number_reader(cell, "identity", columns, may_be_zero=True)

    def amount(cells: Cells) -> str:
        found = read(cells, [])
        return "" if found is None else f"{found[0].normalize():f}"

    return amount


def _plain(read: Callable[[Cells], str], name: str, columns: Columns) -> Callable[[Cells], str]:
    words = _by_words(name, None, columns)

    def either(cells: Cells) -> str:
        try:
            return read(cells)
        except Unfit:  # the row will be refused with its reason; here it only needs a place among the others
            return words(cells)

    return either


def _joined(kind: bytes, parts: Sequence[str]) -> bytes:
    texts = [part.encode("utf-8", "surrogatepass") for part in parts]
    return kind + b"".join(len(text).to_bytes(4, "big") + text for text in texts)


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
