"""The scan finds a value however it was written down, packed or cut, says where, and never says the value itself."""

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from projections import residues
from projections.canaries import forms
from projections.names import keys
from projections.residues import Scan, Scanned
from projections.text import compact, folded, latin, vector

NAME = "Xavérius O\u2019Quackenbosch"
ARABIC = "محمد القحطاني"
NUMBER = "PQ 4711-88 Z"


def looked(*paths: Path, values: tuple[str, ...] = (NAME, ARABIC, NUMBER), words: bool = False) -> Scanned:
    looking = Scan(values, words=words)
    looking.add(*paths)
    return looking.scanned


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize(
    "written",
    [
        NAME.encode(),
        NAME.upper().encode(),
        NAME.casefold().encode(),
        folded(NAME).encode(),
        latin(ARABIC).encode(),
        compact(NUMBER).encode(),
        ARABIC.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        NAME.encode().hex().encode(),
        NAME.encode().hex().upper().encode(),
        json.dumps(ARABIC).encode(),
        quote(NAME).encode(),
        msgspec.msgpack.encode({"name": NAME}),
        next(key for key in keys(NAME) if key.startswith("+") and len(key) > 8).encode(),
    ],
)
def test_every_form_is_found(before: bytes, written: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(7) + before + written + bytes(9))
    found = looked(tmp_path)
    assert found.residues
    assert all(7 <= one.offset < 7 + len(before) + len(written) for one in found.found)
    (tmp_path / "coded").write_bytes(base64.b64encode(before + NAME.encode() + b" and more"))
    assert "coded" in {Path(one.place).name for one in looked(tmp_path).found}


def test_words_of_an_index_are_found_when_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "words").write_text(vector([NAME]))
    assert not looked(tmp_path, values=("Quackenbosch Xavérius",)).residues
    assert looked(tmp_path, values=("Quackenbosch Xavérius",), words=True).residues


def test_others_are_not_found_and_the_value_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"Ottilie Yggdrasil, and {NAME}")
    assert looked(tmp_path, values=("Ottilie Yggdrasil",)).residues
    assert not looked(tmp_path, values=("Ottokar Yggdrason",)).residues
    told = str(msgspec.json.encode(looked(tmp_path)))
    assert "Quack" not in told
    assert "quack" not in told


def tarred(name: str, content: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        told = tarfile.TarInfo(name)
        told.size = len(content)
        tar.addfile(told, io.BytesIO(content))
    return raw.getvalue()


def zipped(content: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inside", content)
    return raw.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(NAME.encode()),
        bz2.compress(NAME.encode()),
        lzma.compress(NAME.encode()),
        zipped(NAME.encode()),
        gzip.compress(tarred("base/1", NAME.encode())),
        tarred("archive/1.gz", gzip.compress(NAME.encode())),
    ],
    ids=["gzip", "bzip2", "xz", "zip", "tar.gz", "gzip in tar"],
)
def test_what_is_packed_is_unpacked(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(packed)
    found = looked(tmp_path)
    assert found.residues
    assert found.unread == ()


def test_what_cannot_be_looked_through_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x28\xb5\x2f\xfd and so on")
    (tmp_path / "two").write_bytes(gzip.compress(NAME.encode() * 100)[:40])
    (tmp_path / "three").write_bytes(b"PGDMP and so on")
    assert sorted(Path(one.split(":")[0]).name for one in looked(tmp_path).unread) == ["one", "three", "two"]
    assert looked(tmp_path / "nowhere").unread


def test_a_value_between_two_reads_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residues, "CHUNK", 64)
    for start in range(40, 70):
        (tmp_path / "file").write_bytes(b"." * start + NUMBER.encode() + b"." * 200)
        found = looked(tmp_path, values=(NUMBER,))
        assert [one.offset for one in found.found if one.form == "as given"] == [start]
        assert found.bytes == start + len(NUMBER) + 200


def test_a_record_that_a_page_of_the_log_cuts_in_two_is_found(tmp_path: Path) -> None:
    """The control is the same file under another name."""
    text = NUMBER.encode()
    first = (b"\x18\xd1\x02\x00" + bytes(36)).ljust(residues.PAGE - 5, b".") + text[:5]
    second = (b"\x18\xd1\x01\x00" + bytes(20) + text[5:]).ljust(residues.PAGE, b".")
    for name, is_found in (("0000000100000000000000A7", True), ("another", False)):
        (tmp_path / name).write_bytes(first + second)
        found = looked(tmp_path / name, values=(NUMBER,)).found
        assert bool(found) is is_found
        assert {one.offset for one in found} <= {residues.PAGE - 5}


def test_a_value_that_is_too_short_is_refused_by_its_number() -> None:
    assert forms("Li") == {}
    with pytest.raises(ValueError, match=r"^Value 2 is too short"):
        Scan([NAME, "Li"])
