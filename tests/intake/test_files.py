"""Files of every kind, friendly and hostile: rows with their lines, or a refusal, and never a traceback."""

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from intake import csv_rows, excel_rows, files
from intake.files import opened
from intake.mapping import File
from intake.rows import Exact, Row, Unreadable

WANTED = frozenset({"a", "b"})


def rows_of(path: Path | str, **told: object) -> list[Row]:
    with opened(path, File.model_validate(told), WANTED) as rows:
        return list(rows)


def rows(tmp_path: Path, content: bytes, name: str = "file.csv", **told: object) -> list[Row]:
    path = tmp_path / name
    path.write_bytes(content)
    return rows_of(path, **told)


def good(found: Sequence[Row]) -> list[tuple[int, list[str]]]:
    return [(row.line, list(row.cells)) for row in found if row.problem is None]


def bad(found: Sequence[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.problem) for row in found if row.problem is not None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_found_by_the_columns_that_are_wanted(tmp_path: Path, delimiter: str) -> None:
    content = f'a{delimiter}b{delimiter}"words, and; others"\n1{delimiter}"2,5"{delimiter}x\n'.encode()
    assert good(rows(tmp_path, content)) == [(2, ["1", "2,5", "x"])]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    content = b'title\n\na,b\n1,"two\nlines"\n\n,\n2,3\n'
    assert good(rows(tmp_path, content, skip_lines=2)) == [(4, ["1", "two\nlines"]), (8, ["2", "3"])]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("\ufeffa;b\nł;é\n".encode(), None),
        ("\ufeffa;b\nł;é\n".encode("utf-16-le"), None),
        ("\ufeffa;b\nł;é\n".encode("utf-32-be"), None),
        ("a;b\nł;é\n".encode("windows-1250"), "windows-1250"),
        ("a;b\nł;é\n".encode(), "utf8"),
        ("a;b\nł;é\n".encode("gb18030"), "gb18030"),
    ],
)
def test_any_encoding_is_read_that_is_marked_or_stated(tmp_path: Path, content: bytes, encoding: str | None) -> None:
    assert good(rows(tmp_path, content, encoding=encoding)) == [(2, ["ł", "é"])]


def test_rows_that_cannot_be_read_are_told_and_the_others_are_given(tmp_path: Path) -> None:
    content = b"a;b\n1;2\n3\n4;5;6\n7;\x00\n8;\xff\n9;0;\n"
    found = rows(tmp_path, content)
    assert good(found) == [(2, ["1", "2"]), (7, ["9", "0"])]
    assert [line for line, _ in bad(found)] == [3, 4, 5, 6]
    assert "NUL" in bad(found)[2][1]
    assert "encoding" in bad(found)[3][1]


def test_a_quotation_mark_that_is_never_closed_costs_rows_and_not_memory(tmp_path: Path) -> None:
    found = rows(tmp_path, b'a,b\n1,"open\n' + b"2,3\n" * 100_000 + b"4,5\n")
    assert bad(found)[0][0] == 2
    assert "quotation mark" in bad(found)[0][1]
    assert good(found)[-1] == (100_003, ["4", "5"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\n" + b"x" * (csv_rows.LONGEST_LINE + 1), {}),
        (b"a,b\n" + b'"x\n",' * 3_000_000, {}),
        (b"\xff\xfea", {}),
        (b"a,b\n1,2\n", {"encoding": "no-such"}),
        (b"a,\xff\n1,2\n", {}),
        (b",".join([b"c"] * 5_000), {}),
    ],
)
def test_what_is_no_csv_is_refused_whole(tmp_path: Path, content: bytes, told: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        rows(tmp_path, content, "file.csv", **told)


def test_columns_without_a_name_or_header_go_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"x,,x\n1,2,3\n")
    with opened(path, File(), frozenset()) as found:
        assert found.columns == ["x", "#2", "x#2"]
    with opened(path, File(header=False), frozenset()) as found:
        assert (found.columns, len(list(found))) == (["#1", "#2", "#3"], 2)
    with opened(path, File(header=("p", "q", "r")), frozenset()) as found:
        assert (found.columns, len(list(found))) == (["p", "q", "r"], 2)


def test_numbers_of_json_are_kept_as_they_are_written(tmp_path: Path) -> None:
    content = (
        b'[{"a": 2077.9022125297456, "b": 1.50}, {"a": 12345678901234567890, "b": "1.50"}, {"b": null, "c": true}]'
    )
    found = rows(tmp_path, content, "file.json")
    assert good(found) == [
        (1, ["2077.9022125297456", "1.50", ""]),
        (2, ["12345678901234567890", "1.50", ""]),
        (3, ["", "", "true"]),
    ]
    assert (type(found[0].cells[1]), type(found[1].cells[1])) == (Exact, str)


def test_nested_json_becomes_columns_and_rows_may_lie_deep(tmp_path: Path) -> None:
    content = b'{"data": {"rows": [{"a": {"b": 1, "c": [2, {"d": 3}]}}]}}'
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with opened(path, File(rows_at="data.rows"), frozenset()) as found:
        assert found.columns == ["a.b", "a.c.0", "a.c.1.d"]
    with pytest.raises(Unreadable, match="rows_at"):
        rows_of(path)


def test_json_lines_name_the_line_that_is_none(tmp_path: Path) -> None:
    found = rows(tmp_path, b'\xef\xbb\xbf{"a":1,"b":2}\n\n{"a":\n[1]\n{"a":3,"b":4}\n', "file.jsonl")
    assert good(found) == [(1, ["1", "2"]), (5, ["3", "4"])]
    assert [line for line, _ in bad(found)] == [3, 4]


DEEP = b'[{"a":' + b"[" * 100_000


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        DEEP,
        b'[{"a":1}',
        b"[1,",
        b'{"a":1}',
        b"\x00",
        b'[{"a":"\xff"}',
        b'[{"a":NaN}]',
        b'[{"a":Infinity}]',
    ],
)
def test_what_is_no_json_array_is_refused_whole(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Unreadable):
        rows(tmp_path, content, "file.json")


@pytest.mark.parametrize(
    "element",
    [
        '"text"',
        "5",
        "null",
        '{"a": ' + "9" * 400 + "0" * 5_000 + "}",
        '{"a":' + "[" * 40 + "]" * 39 + "]}",
        '{"a":"\\u0000"}',
    ],
)
def test_an_element_that_is_no_row_is_refused_alone(tmp_path: Path, element: str) -> None:
    found = rows(tmp_path, f'[{{"a":"1"}},{element},{{"a":"2"}}]'.encode(), "file.json")
    assert [(line, cells[0]) for line, cells in good(found)][:1] == [(1, "1")]
    assert [line for line, _ in bad(found)] in ([2], [])
    assert good(found)[-1][0] == 3


@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise_anything_but_unreadable(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    for format_ in ("csv", "json", "jsonl"):
        try:
            for row in rows_of(path, format=format_):
                assert row.line > 0
        except Unreadable as error:
            assert str(error).endswith((".", "?"))  # noqa: PT017  # most bytes are read; of the others the sentence counts


# ---------------------------------------------------------------- Excel


def workbook(path: Path, sheet: str = "Seizures") -> None:
    book = xlsxwriter.Workbook(path)
    page = book.add_worksheet(sheet)
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    page.write_row(1, 1, ["a", "b", "day"])
    page.write_number(2, 1, 2077.902212529746)
    page.write_string(2, 2, "1.500")
    page.write_datetime(2, 3, datetime(2024, 5, 1, tzinfo=UTC).replace(tzinfo=None), day)
    page.write_number(4, 1, 5)
    page.write_boolean(4, 2, True)  # noqa: FBT003  # xlsxwriter's own order
    book.close()


def test_a_sheet_is_read_with_its_own_row_numbers_and_exact_numbers(tmp_path: Path) -> None:
    path = tmp_path / "file.xlsx"
    workbook(path)
    found = rows_of(path)
    assert good(found) == [(3, ["", "2077.902212529746", "1.500", "2024-05-01"]), (5, ["", "5", "true", ""])]
    assert [type(cell) for cell in found[0].cells] == [str, Exact, str, Exact]
    with pytest.raises(Unreadable, match="Seizures"):
        rows_of(path, sheet="Other")


def test_a_file_is_known_by_its_bytes_where_its_name_lies(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    workbook(path)
    assert len(rows_of(path)) == 2


def bomb(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * size)
    return packed.getvalue()


@pytest.mark.parametrize("content", [b"PK\x03\x04 rubbish", b"rubbish", b"\xd0\xcf\x11\xe0rubbish", b""])
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Unreadable):
        rows(tmp_path, content, "file.xlsx")


def test_a_zip_bomb_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_rows, "_open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(Unreadable, match="unpack"):
        rows(tmp_path, bomb(100_000_000), "file.xlsx")


def test_a_workbook_that_outgrows_the_limits_of_its_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.xlsx"
    book = xlsxwriter.Workbook(path, {"constant_memory": True})
    page = book.add_worksheet()
    for row in range(20_000):
        page.write_row(row, 0, [f"{row} {column} some words" for column in range(20)])
    book.close()
    assert len(rows_of(path, header=False)) == 20_000
    monkeypatch.setattr(excel_rows, "MEMORY_BYTES", 60_000_000)
    with pytest.raises(Unreadable, match="more memory or time"):
        rows_of(path, header=False)


# ---------------------------------------------------------------- packed, piped, changing


def test_a_packed_file_is_unpacked_whatever_its_kind(tmp_path: Path) -> None:
    assert good(rows(tmp_path, gzip.compress(b"a,b\n1,2\n"), "file.csv.gz")) == [(2, ["1", "2"])]
    packed = gzip.compress(json.dumps([{"a": "1", "b": "2"}]).encode())
    assert good(rows(tmp_path, packed, "file.json.gz")) == [(1, ["1", "2"])]


def test_a_gzip_bomb_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SMALL_UNPACKED", 1_000_000)
    with pytest.raises(Unreadable, match="unpacks to more"):
        rows(tmp_path, gzip.compress(b"\0" * 30_000_000), "file.csv.gz")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        rows(tmp_path, gzip.compress(b"a,b\n1,2\n" * 1000)[:-9], "file.csv.gz")


def test_standard_input_is_a_file_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))
    assert good(rows_of("-")) == [(2, ["1", "2"])]


def test_a_file_that_changes_while_it_is_read_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n1,2\n")

    def grow() -> None:
        with opened(path, File(), WANTED) as found:
            list(found)
            with path.open("ab") as file:
                file.write(b"3,4\n")

    with pytest.raises(Unreadable, match="changed while"):
        grow()


@pytest.mark.parametrize("name", ["/no/such/file", "/"])
def test_what_is_not_there_or_no_file_is_refused_in_words(name: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        rows_of(name)
