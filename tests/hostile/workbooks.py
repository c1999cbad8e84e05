"""Workbooks that are made to hurt: bombs, lies, loops, and what only looks like one."""

import io
import struct
import zipfile
from collections.abc import Mapping
from functools import cache

import xlsxwriter

TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of these parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


@cache
def _sound() -> dict[str, bytes]:
    """The parts of a sound workbook with one sheet and one text."""
    made = io.BytesIO()
    sound = xlsxwriter.Workbook(made)
    sound.add_worksheet("S").write_string(0, 0, "x")
    sound.close()
    with zipfile.ZipFile(made) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def book(rows: str, strings: str = "", *, before: str = "") -> bytes:
    """An xlsx whose one sheet holds these rows, written as XML; `before` stands at the head of the sheet."""
    sheet = f"<?xml version='1.0'?>{before}<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
    texts = f"<?xml version='1.0'?><sst {MAIN}>{strings}</sst>"
    return packed(_sound() | {"xl/worksheets/sheet1.xml": sheet, "xl/sharedStrings.xml": texts})


def row(number: int, *texts: str) -> str:
    """A row of texts."""
    cells = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)
    return f'<row r="{number}">{cells}</row>'


def sheet_bomb() -> bytes:
    """400 KB that unpack to 100 MB of blanks, and say so."""
    return packed({"xl/worksheets/sheet1.xml": b" " * 100_000_000})


def lying_bomb(size: int = 60_000_000) -> bytes:
    """The same, but its directory says that the part is small."""
    name = b"xl/worksheets/sheet1.xml"
    raw = bytearray(book(row(1, "x") + " " * size))
    for mark, of_size, of_name in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        at = raw.index(mark)
        while raw[at + of_name : at + of_name + len(name)] != name:
            at = raw.index(mark, at + 4)
        raw[at + of_size : at + of_size + 4] = struct.pack("<I", 5_000)
    return bytes(raw)


def many_parts() -> bytes:
    """An archive of ten thousand parts and one."""
    return packed({f"xl/part{number}.xml": "" for number in range(10_001)})


def matryoshka() -> bytes:
    """An archive within an archive within an archive."""
    content = b"0" * 1_000_000
    for level in range(6):
        content = packed({f"level{level}.zip": content})
    return content


def laughs() -> bytes:
    """A billion laughs, in the head of the sheet."""
    entities = ['<!ENTITY a0 "lol">'] + [f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10)]
    return book(row(1, "number", "&a9;"), before=f"<!DOCTYPE x [{''.join(entities)}]>")


def foreign_entity() -> bytes:
    """A sheet that asks its reader for a file of the machine."""
    return book(row(1, "number") + row(2, "&e;"), before='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')


def deep_sheet() -> bytes:
    """A sheet of a million elements, each within the other."""
    return book("<a>" * 1_000_000)


def repeated_text(cells: int = 100_000) -> bytes:
    """One long text that every cell refers to: gigabytes, once each cell holds it."""
    rows = "".join(f'<row r="{one}"><c t="s"><v>0</v></c></row>' for one in range(1, cells + 1))
    return book(rows, f"<si><t>{'x' * 32_000}</t></si>")


def far_corner() -> bytes:
    """Two cells, in the first and the last place of a sheet: seventeen milliards of empty ones between them."""
    return book('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


def wide() -> bytes:
    """A header of sixteen thousand columns."""
    return book(row(1, *(f"c{number}" for number in range(16_384))))


def no_parts() -> bytes:
    """An archive in which no workbook lies."""
    return packed({"../../etc/passwd": "x", "[Content_Types].xml": TYPES})


def broken_characters() -> bytes:
    """Cells that refer to characters which are none."""
    return book(row(1, "number") + row(2, "&#0;") + row(3, "&#xD800;") + row(4, "&#x110000;"))


def compound(*, is_loop: bool) -> bytes:
    """The frame of an xls: whose table of sectors leads in a circle, or whose directory holds noise."""
    head = bytearray(512)
    head[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<HHHHH", head, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<IIIII", head, 44, 1, 1, 0, 4096, 0xFFFFFFFE)
    struct.pack_into("<III", head, 64, 0, 0xFFFFFFFE, 0)
    struct.pack_into("<I", head, 76, 0)
    head[80:] = b"\xff" * (512 - 80)
    table = bytearray(b"\xff" * 512)
    struct.pack_into("<II", table, 0, 0xFFFFFFFD, 1)  # the directory's sector follows itself
    directory = b"\x01\x00" * 256 if is_loop else bytes(range(256)) * 2
    return bytes(head + table + directory)
