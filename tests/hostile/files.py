"""Hostile files of rows, for `ncen import seizures`: packed, Excel, CSV and JSON."""

import gzip
import json

from cli.output import ExitCode
from tests.hostile import workbooks
from tests.hostile.case import CANARY, Case, named
from tests.intake.conftest import HEADER, REGISTER

REFUSED = ExitCode.REFUSED


def csv(*rows: str) -> str:
    """Rows below the header of the register."""
    return "\n".join((HEADER, *rows, ""))


def row(**told: str) -> str:
    """A good row of the register, with these cells in place of its own."""
    cells = {
        "number": "1",
        "office": "XAPORT",
        "day": "2024-05-01",
        "way": "in",
        "what": "cocaine",
        "amount": "2.5",
        "unit": "kg",
        "words": CANARY,
    }
    return ",".join((cells | told).values())


def rows_of_json(*rows: object) -> str:
    """An array of objects."""
    return json.dumps(list(rows))


def utf16(text: str) -> bytes:
    """Text with the mark of UTF-16."""
    return b"\xff\xfe" + text.encode("utf-16-le")


EXCEL = [
    Case("a zip bomb", workbooks.sheet_bomb, "would unpack from", file="f.xlsx"),
    Case("a zip bomb whose directory lies", workbooks.lying_bomb, "no column|damaged|more memory", file="f.xlsx"),
    Case("ten thousand parts", workbooks.many_parts, "as no workbook does", file="f.xlsx"),
    Case("archives within archives", workbooks.matryoshka, "damaged", file="f.xlsx"),
    Case("a billion laughs", workbooks.laughs, "no column|damaged|more memory", file="f.xlsx"),
    Case("an entity that names a file", workbooks.foreign_entity, "no column|damaged", file="f.xlsx"),
    Case("a million elements deep", workbooks.deep_sheet, "no column|damaged|more memory", file="f.xlsx"),
    Case("one long text in every cell", workbooks.repeated_text, "more memory or time", file="f.xlsx"),
    Case("a cell in the farthest corner", workbooks.far_corner, "more memory or time|columns", file="f.xlsx"),
    Case("sixteen thousand columns", workbooks.wide, "more than 4000 columns", file="f.xlsx"),
    Case("a workbook cut off", lambda: workbooks.book(workbooks.row(1, "number"))[:-40], "damaged", file="f.xlsx"),
    Case("an archive without a workbook", workbooks.no_parts, "damaged", file="f.xlsx"),
    Case("characters that are none", workbooks.broken_characters, "no column|damaged", file="f.xlsx"),
    Case(
        "an xls that leads in a circle", lambda: workbooks.compound(is_loop=True), "damaged|more memory", file="f.xls"
    ),
    Case("an xls of noise", lambda: workbooks.compound(is_loop=False), "damaged", file="f.xls"),
    Case("a workbook under the name of a CSV", lambda: workbooks.book(workbooks.row(1, "x")), "no column `"),
]

PACKED = [
    Case("a gzip bomb", lambda: gzip.compress(b"\0" * 100_000_000), "unpacks to more than", file="f.csv.gz"),
    Case("many gzip bombs", lambda: gzip.compress(b"\0" * 1_000_000) * 80, "unpacks to more than", file="f.csv.gz"),
    Case("gzip within gzip", lambda: gzip.compress(gzip.compress(csv(row()).encode())), "header is not", file="f.gz"),
    Case("gzip cut off", lambda: gzip.compress(csv(row()).encode())[:-9], "damaged gzip", file="f.csv.gz"),
    Case("gzip with noise behind", lambda: gzip.compress(csv(row()).encode()) + b"noise", "damaged gzip", file="f.gz"),
    Case("gzip that says gzip twice", lambda: b"\x1f\x8b" * 50, "damaged gzip", file="f.csv.gz"),
]

CSV = [
    Case("NUL in the header", lambda: csv(row()).replace("office", "off\0ice"), "header is not text"),
    Case(
        "no UTF-8 in the header", lambda: csv(row()).encode().replace(b"office", b"\xff\xfeice"), "header is not text"
    ),
    Case("a line without an end", lambda: csv(row(words="x" * 1_100_000)), "Line 2 is longer"),
    Case("five thousand columns", lambda: ",".join(["c"] * 5_000), "more than 4000 columns"),
    Case("UTF-16 with half a character", lambda: utf16(csv(row())) + b"x", "not text in"),
    Case("UTF-32 beyond all characters", lambda: b"\xff\xfe\0\0" + b"\xff\xff\xff\x7f" * 9, "not text in"),
    Case("a file that is empty", lambda: b"", "has no column `"),
    Case("a program", lambda: b"\x7fELF\x02\x01\x01" + bytes(2_000), "header is not text"),
    Case("NUL in a cell", lambda: csv(row(words="a\0b")), "line 2, row: The row holds a NUL", REFUSED),
    Case("overlong UTF-8", lambda: csv().encode() + b"2,\xc0\x80,,,,,,\n", "line 2, row: .*encoding", REFUSED),
    Case(
        "a surrogate in UTF-8", lambda: csv().encode() + b"2,\xed\xa0\x80,,,,,,\n", "line 2, row: .*encoding", REFUSED
    ),
    Case("a quotation mark without its fellow", lambda: csv('1,"open', *["2"] * 70_000), "quotation mark", REFUSED),
    Case("a cell of 200,000 characters", lambda: csv(row(words="x" * 200_000)), "line 2", REFUSED),
    Case("words of 20,000 characters", lambda: csv(row(words="x" * 20_000)), "line 2, narrative", REFUSED),
    *(
        Case(
            f"the direction changed by U+{ord(sign):04X}",
            csv(row(words=f"{CANARY}{sign}x")),
            "line 2, narrative: .*direction",
            REFUSED,
        )
        for sign in "\u061c\u200e\u200f\u202a\u202e\u2066\u2069"
    ),
    Case("a control code of a terminal", lambda: csv(row(words="a\x1b[2Jb")), "line 2, narrative: .*control", REFUSED),
    Case("an eight-bit control code", lambda: csv(row(words="a\x9b2Jb")), "line 2, narrative: .*control", REFUSED),
    Case("a direction changed in a code", lambda: csv(row(office="XA\u202ePORT")), "line 2, office", REFUSED),
    Case("a look-alike in a code", lambda: csv(row(office="XAP\u041eRT")), "line 2, office", REFUSED),
    *(
        Case(f"the number {number[:12]}", csv(row(amount=number)), "line 2, quantity", REFUSED)
        for number in ("NaN", "Infinity", "1e999", "-1", "0x10", "9" * 500, "1_000", "=1+1", "2.5e", "\u00bd")
    ),
    *(
        Case(f"the day {day}", csv(row(day=day)), "line 2, occurred_on", REFUSED)
        for day in ("0000-00-00", "2024-02-30", "99999-01-01", "=TODAY()", "\u0662\u0660\u0662\u0664-13-01")
    ),
    *(
        Case(
            f"the formula {text[:14]} for a code",
            csv(row(office=f'"{text}"')),
            "line 2, office",
            REFUSED,
        )
        for text in ("=1+1", "+A1", "-2+3", "@SUM(1)", "\t=1", "=cmd|' /C calc'!A0", "=HYPERLINK(1)")
    ),
]

WIDE = {f"k{number}": 1 for number in range(4_100)}

JSON = [
    Case("brackets without end", lambda: b"[" * 200_000, "deeply|JSON", file="f.json"),
    Case("an element without end", lambda: b'[{"a":' + b"[" * 100_000, "deeply|JSON", file="f.json"),
    Case(
        "an element nested deeply", lambda: b'[{"a":' + b"[" * 900 + b"]" * 900 + b"}]", "no column|row", file="f.json"
    ),
    Case("five million ones", lambda: b"[" + b"1," * 5_000_000 + b"1]", "more memory", file="f.json"),
    Case("five million objects", lambda: b"[" + b"{}," * 5_000_000 + b"{}]", "more memory", file="f.json"),
    Case("an element as large as a file", lambda: b'[{"a":[' + b"1," * 3_000_000 + b"1]}]", "no column", file="f.json"),
    Case("four thousand keys", lambda: rows_of_json(WIDE), "no column|different keys", file="f.json"),
    Case("a key without end", lambda: rows_of_json({"k" * 1_000_000: CANARY}), "no column", file="f.json"),
    Case("JSON cut off", lambda: b'[{"number": "1"', "breaks off", file="f.json"),
    Case("JSON of numbers", lambda: b"[1, 2, 3]", "no column", file="f.json"),
    Case("JSON that is no array", lambda: b'{"number": 1}', "rows_at", file="f.json"),
    Case("NUL for JSON", lambda: b"\0" * 1_000, "not JSON", file="f.json"),
    Case("JSON in UTF-16", lambda: utf16('[{"number": "1"}]'), "not JSON", file="f.json"),
    Case("NaN in JSON", lambda: b'[{"number": NaN}]', "JSON|no column", file="f.json"),
    Case(
        "JSON without the rows",
        lambda: b'{"data": {}}',
        "has no `data.rows`",
        file="f.json",
        mapping=REGISTER.replace("[file]", '[file]\nrows_at = "data.rows"'),
    ),
    Case(
        "a line of JSON without end",
        lambda: b'{"number":"' + b"x" * 5_000_000 + b'"}',
        "Line 1 is longer",
        file="f.jsonl",
    ),
    Case("lines of JSON that are none", lambda: b"[\n{\n}\n\xff\n" * 100, "no column", file="f.jsonl"),
    Case(
        "a lone surrogate",
        lambda: rows_of_json({"number": "1"}).replace('"1"', '"\\ud800"'),
        "no column|not JSON",
        file="f.json",
    ),
]

CASES = named([*EXCEL, *PACKED, *CSV, *JSON])
