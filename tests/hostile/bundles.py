"""Hostile bundles of evidence."""

import json
from collections.abc import Callable

SOUND = {"format": "ncen-evidence/1", "checkpoint": "", "key": "", "successions": [], "witnesses": {}, "entries": []}


def bundle(**parts: object) -> bytes:
    """A bundle that proves nothing, with these parts in place of its own."""
    return json.dumps(SOUND | parts).encode()


BUNDLES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not JSON"),
    "noise": (lambda: bytes(range(256)), "not JSON"),
    "no UTF-8": (lambda: b'{"format":"\xff"}', "not JSON"),
    "NUL": (lambda: b"\0" * 1_000, "not JSON"),
    "UTF-16": (lambda: bundle().decode().encode("utf-16"), "not JSON"),
    "brackets": (lambda: b"[" * 900_000, "not JSON"),
    "deep maps": (lambda: b'{"a":' * 900_000, "not JSON"),
    "eight million texts": (lambda: b"[" + b'"xy",' * 8_000_000 + b'"xy"]', "more parts"),
    "a number without end": (lambda: b'{"format":' + b"9" * 5_000_000 + b"}", "more digits"),
    "a fraction without end": (lambda: b'{"format":0.' + b"9" * 1_000_000 + b"}", "digits|not JSON"),
    "NaN": (lambda: b'{"format":NaN}', "not JSON"),
    "a part named twice": (lambda: bundle().replace(b'"key"', b'"format"'), "named twice"),
    "a list for a bundle": (lambda: b"[]", "not a map"),
    "another form": (lambda: bundle(format="ncen-evidence/9"), "not of the form"),
    "a part that nobody knows": (lambda: bundle(more=1), "other parts"),
    "a checkpoint of noise": (lambda: bundle(checkpoint="\0\n\n\u202e\n"), "signature line"),
    "a checkpoint without end": (lambda: bundle(checkpoint="x" * 5_000_000), "not a signed note"),
    "a checkpoint of signatures": (lambda: bundle(checkpoint="x\n\n" + "\u2014 ncen/XA AA==\n" * 3_000), "twice"),
    "a lone surrogate": (lambda: bundle(checkpoint="\ud800\n\n\u2014 ncen/XA AAAA\n"), "form of one|note"),
}

SUCCESSIONS = [""] * 2_000
