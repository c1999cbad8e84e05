"""The process that opens an Excel file: it runs apart, with limits, because a workbook can be made to kill its reader.

It is begun by `intake.apart.run` with one word, the name of a sheet (none is the first). It writes MessagePack in
frames: first the names of the sheets or what is wrong, then each row as [row number, cells], a cell of numbers or days
in a list of its own; of a row that is longer than any may be, only the number.
"""

import os
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import msgspec
import python_calamine

from intake.apart import MOST_FRAME_BYTES, confined, writer

WHOLE_BELOW = 10**15  # above it, a spreadsheet's number is no longer exact to the unit

Cell = str | list[str]


def cell(value: object) -> Cell:  # noqa: PLR0911  # an arm for each kind of cell
    """A cell as text; what the sheet holds as number or day stands in a list of its own."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return [str(value)]
        case float():
            # repr is the shortest text that means this number, which is what the sheet shows
            return [str(int(value)) if value.is_integer() and abs(value) < WHOLE_BELOW else repr(value)]
        case datetime() | date():
            return [value.isoformat()]
        case time() | timedelta():
            return [str(value)]
    return ""


def rows(sheet: python_calamine.CalamineSheet) -> Iterator[tuple[int, list[Cell]]]:
    """The rows of a sheet with their numbers, as Excel shows them."""
    first = sheet.start[0] if sheet.start else 0
    left = sheet.start[1] if sheet.start else 0
    for place, cells in enumerate(sheet.to_python(skip_empty_area=True)):
        empty: list[Cell] = [""] * left
        yield first + place + 1, empty + [cell(value) for value in cells]


def main(handle: int, name: str) -> None:
    """Write the sheets and the rows of one of them."""
    put, encode = writer(), msgspec.msgpack.Encoder().encode
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(os.fdopen(handle, "rb"))
        names = workbook.sheet_names
        if not names or (name and name not in names):
            put(encode({"sheets": names, "problem": "sheet"}))
            return
        sheet = workbook.get_sheet_by_name(name or names[0])
    except python_calamine.PasswordError:
        put(encode({"sheets": [], "problem": "password"}))
        return
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # whatever the library says of a broken file may quote it
        put(encode({"sheets": [], "problem": "format"}))
        return
    put(encode({"sheets": names, "problem": ""}))
    for number, cells in rows(sheet):
        row = encode((number, cells))
        put(row if len(row) <= MOST_FRAME_BYTES else encode((number, None)))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _handle, _words = confined(sys.argv[1:])
    main(_handle, _words[0])
