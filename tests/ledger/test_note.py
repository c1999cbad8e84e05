"""Signed notes: as C2SP tells them, whole or refused."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import note
from ledger.note import NotSigned

# The example of the Go package golang.org/x/mod/sumdb/note, which the format comes from.
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n\u2014 PeterNeumann {GO_SIGNATURE}\n"
GO_KEY = "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def _go_key() -> Ed25519PublicKey:
    import base64  # only here

    return Ed25519PublicKey.from_public_bytes(base64.b64decode(GO_KEY[1])[1:])


WYCHEPROOF = Path(__file__).parents[2].parent / "shared" / "data" / "vectors" / "wycheproof_ed25519.json"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TEXT = "ncen/NL/feed/BE\n3\nAAAA\n"


def test_note_of_others_is_understood() -> None:
    assert note.verify(GO_NOTE, "PeterNeumann", _go_key()) == GO_TEXT
    assert note.key_id("PeterNeumann", note.SIGNATURE, _go_key()).hex() == GO_KEY[0]


def test_signed_note_is_verified() -> None:
    signed = note.sign(TEXT, "NL", KEY)
    assert signed.startswith(TEXT + "\n\u2014 NL ")
    assert note.verify(signed, "NL", KEY.public_key()) == TEXT


def test_changed_or_foreign_note_is_refused() -> None:
    signed = note.sign(TEXT, "NL", KEY)
    for broken in (
        signed.replace("\n3\n", "\n4\n"),
        signed[:-1],
        signed.replace("\n\n", "\n"),
        TEXT,
        "",
        "\n\n",
        signed.replace("\u2014", "-"),
        signed.replace(" NL ", " BE "),
        signed + "\u2014 NL nobase64!\n",
        signed + "\u2014 NL AAAA\n",
        "a\x00b\n" + signed,
    ):
        with pytest.raises(NotSigned):
            note.verify(broken, "NL", KEY.public_key())
    with pytest.raises(NotSigned):
        note.verify(signed, "NL", OTHER.public_key())
    with pytest.raises(NotSigned):
        note.verify(signed, "BE", KEY.public_key())


def test_text_may_hold_empty_lines() -> None:
    text = "one\n\ntwo\n\n\u2014 not a signature\n"
    assert note.verify(note.sign(text, "NL", KEY), "NL", KEY.public_key()) == text


@pytest.mark.parametrize(
    ("text", "name"), [("no newline", "NL"), ("tab\there\n", "NL"), ("ok\n", "a b"), ("ok\n", "a+b"), ("ok\n", "")]
)
def test_what_cannot_be_a_note_is_not_signed(text: str, name: str) -> None:
    with pytest.raises(ValueError, match="of a"):
        note.sign(text, name, KEY)


def test_cosignature_tells_who_saw_it_and_when() -> None:
    signed = note.sign(TEXT, "NL", KEY)
    seen = note.cosign(signed, "BE", OTHER, 1_714_566_615)
    assert seen.startswith(signed)
    assert note.verify(seen, "NL", KEY.public_key()) == TEXT
    assert note.verify_cosignature(seen, "BE", OTHER.public_key()) == (TEXT, 1_714_566_615)
    for changed in (seen.replace("\n3\n", "\n4\n"), signed):
        with pytest.raises(NotSigned):
            note.verify_cosignature(changed, "BE", OTHER.public_key())
    with pytest.raises(NotSigned):
        note.verify(seen, "BE", OTHER.public_key())


def test_signatures_are_checked_as_others_check_them() -> None:
    if not WYCHEPROOF.is_file():
        pytest.skip(f"the vectors are not at hand: {WYCHEPROOF} is missing")
    groups = json.loads(WYCHEPROOF.read_text(encoding="utf-8"))["testGroups"]
    held = refused = 0
    for group in groups:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            try:
                note._check(key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            except NotSigned:
                assert case["result"] == "invalid", case
                refused += 1
            else:
                assert case["result"] == "valid", case
                held += 1
    assert held > 50
    assert refused > 50
