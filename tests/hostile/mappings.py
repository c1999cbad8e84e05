"""Hostile mappings, for `ncen import seizures --mapping`."""

from collections.abc import Callable

from tests.hostile.case import CANARY, Case, named
from tests.hostile.files import csv, row
from tests.intake.conftest import REGISTER

FILE = "a mapping"


def case(name: str, mapping: Callable[[], str | bytes] | str | bytes, says: str) -> Case:
    """A good file with this mapping."""
    return Case(name, mapping, says, file="m.toml", words=("import", "seizures", "good.csv", "--mapping", "FILE"))


def with_pattern(pattern: str) -> str:
    """The register, with a plate that this pattern finds."""
    return REGISTER + f"plates = {{ column = 'words', pattern = '{pattern}' }}\n"


def in_encoding(name: str) -> str:
    """The register, in this encoding."""
    return REGISTER.replace("[file]", f"[file]\nencoding = '{name}'")


GOOD = csv(row())

CASES = named(
    [
        case("a key of twenty thousand parts", lambda: "a." * 20_000 + "a = 1", "more memory or time than a mapping"),
        case("brackets of TOML without end", lambda: "a = " + "[" * 100_000, "nested too deeply"),
        case("tables within tables", lambda: "a = " + "{a = " * 50_000, "nested too deeply"),
        case("a number of 100,000 digits", lambda: "a = " + "9" * 100_000, "number that is too large"),
        case("a hexadecimal number without end", lambda: "a = 0x" + "9" * 1_000_000, "number that is too large"),
        case("a mapping that is no UTF-8", lambda: b"\xff\xfe", "not valid TOML"),
        case("NUL for a mapping", lambda: b"\0" * 100, "not valid TOML"),
        case("a mapping of five megabytes", lambda: "#" * 5_000_000, "too large for a mapping"),
        case("ten thousand unknown keys", lambda: "".join(f"k{one} = 1\n" for one in range(10_000)), "There is more"),
        case("a key of a megabyte", lambda: f'"{"sourc" * 200_000}" = 1', "has no key `sourcsourc"),
        case("a key that a terminal obeys", lambda: '"\\u001b[2J\\u202e" = 1', r"has no key `\?\[2J\?`"),
        case("a table told twice", lambda: "[source]\n[source]\n", "not valid TOML"),
        case("a pattern that runs away", lambda: with_pattern("(a+)+$"), "repeats without a bound"),
        case("a pattern of anything", lambda: with_pattern(".*.*.*x"), "repeats without a bound"),
        case("a pattern that repeats groups", lambda: with_pattern("(a{1,9}){1,9}"), "repeats a group"),
        case("a pattern in too many ways", lambda: with_pattern("a{0,150}a{0,150}a{0,150}"), "too many ways"),
        case("a pattern without end", lambda: with_pattern("(" * 299), "not a regular expression|group"),
        case("an encoding that unpacks", lambda: in_encoding("zlib"), "no encoding"),
        case("an encoding without end", lambda: in_encoding("x" * 90_000), "no encoding"),
        case("a mapping of words", lambda: CANARY, "not valid TOML"),
        case("a mapping of nothing", lambda: "", "needs `source`"),
    ]
)
