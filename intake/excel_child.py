"""The process that opens an Excel file: it runs apart, with limits, because a workbook can be made to kill its reader.

Usage: python -m intake.excel_child HANDLE SHEET MEMORY (the number of an open file; an empty SHEET is the first; the
bytes of memory it may use). It writes MessagePack to standard output: first the names of the sheets or what is wrong,
then each row as [row number, cells], a cell of numbers or days in a list of its own. It keeps these rules: limits are
set before anything is opened; nothing of the file is ever said.
"""

import os
import resource
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import msgspec
import python_calamine

CPU_S = 120
OUTPUT_BYTES = 4 * 1024**3
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


def main(handle: int, name: str, memory_bytes: int) -> None:
    """Write the sheets and the rows of one of them."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write = sys.stdout.buffer.write
    encode = msgspec.msgpack.Encoder().encode

    def put(message: object) -> None:
        body = encode(message)
        write(len(body).to_bytes(4, "big"))
        write(body)

    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(os.fdopen(handle, "rb"))
        names = workbook.sheet_names
        if not names or (name and name not in names):
            put({"sheets": names, "problem": "sheet"})
            return
        sheet = workbook.get_sheet_by_name(name or names[0])
    except python_calamine.PasswordError:
        put({"sheets": [], "problem": "password"})
        return
    except Exception:  # noqa: BLE001  # whatever the library says of a broken file may quote it
        put({"sheets": [], "problem": "format"})
        return
    put({"sheets": names, "problem": ""})
    for row in rows(sheet):
        put(row)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
