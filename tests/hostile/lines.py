"""Hostile commands, cards and words of a line."""

from collections.abc import Callable, Sequence

from cli.output import ExitCode
from tests.hostile.case import CANARY, FILE, Case, named

RECORD = ("seizure", "record", "--json-file", FILE)
FACTS = '"kind":"seizure","office":"XAPORT","occurred_on":"2024-01-01","place":{"country":"PT"}'
SOUND = f'{FACTS},"goods":[{{"section":"drugs"}}]'


def command(name: str, rest: str | bytes, says: str, code: ExitCode = ExitCode.BAD_INPUT) -> Case:
    """A command to record a seizure that goes on like this."""
    begun = b'{"command":"record-seizure",'
    return Case(name, begun + (rest if isinstance(rest, bytes) else rest.encode()), says, code, "c.json", RECORD)


def whole(name: str, given: Callable[[], bytes | str] | bytes | str, says: str) -> Case:
    """A file in place of a command."""
    return Case(name, given, says, ExitCode.BAD_INPUT, "c.json", RECORD)


def amount(number: str, says: str, code: ExitCode = ExitCode.REFUSED) -> Case:
    """A command that tells this amount."""
    quantity = f'{{"amount":{number},"written":"1","unit":"KGM"}}'
    goods = f'"goods":[{{"section":"drugs","quantity":{quantity}}}]}}'
    return command(f"an amount of {number[:14]}", f"{FACTS},{goods}", says, code)


def words(name: str, text: str, says: str = "narrative does not fit") -> Case:
    """A command with this narrative, as it is escaped in JSON."""
    return command(f"words with {name}", f'{SOUND},"narrative":"{CANARY} {text}"}}', says)


def card(name: str, given: str | bytes) -> Case:
    """A file in place of a peer's card."""
    says = "This is not the card of a node: "
    return Case(f"a card: {name}", given, says, ExitCode.REFUSED, "card.json", ("peer", "add", FILE))


def line(name: str, typed: Sequence[str], says: str, code: ExitCode = ExitCode.USAGE) -> Case:
    """A line that needs no file."""
    return Case(f"a line: {name}", b"", says, code, "unused", typed)


COMMANDS = [
    whole("a command of brackets", "[" * 100_000, "does not fit|deeply"),
    whole("a command of nothing", "", "not JSON"),
    whole("a command of noise", bytes(range(256)), "not JSON"),
    whole("a command cut off", '{"command":"record-sei', "not JSON"),
    whole("a command that is no UTF-8", b'{"command":"\xff"}', "not JSON"),
    whole("a command of five megabytes", lambda: " " * 5_000_000, "larger than 4 MB"),
    whole("another command", '{"command":"drop-tables"}', "another command"),
    command("a deep part that nobody knows", '"zz":' + "[" * 100_000, "zz is not a known part"),
    command("a deep part where a text belongs", '"office":' + '{"a":' * 100_000, "office does not fit"),
    command("a deep part within goods", f'{FACTS},"goods":[{{"section":"drugs","x":' + "[" * 100_000, "deeply"),
    command("a part that a terminal obeys", '"\\u001b[2J\\u202e":1}', "what stands there is not a known part"),
    command("a part that is a name", f'"{CANARY}":1}}', "what stands there is not a known part"),
    command("a part without end", '"' + "k" * 100_000 + '":1}', "what stands there is not a known part"),
    command("200,000 countries", f'{SOUND},"route":[' + '"PT",' * 200_000 + '"PT"]}', "route does not fit"),
    command("a lone surrogate in words", f'{SOUND},"narrative":"\\ud800"}}', "not JSON"),
    command("a command with more behind it", f"{SOUND}}} {{}}", "trailing"),
    command("a day that is none", SOUND.replace("2024-01-01", "2024-02-30") + "}", "occurred_on does not fit"),
    command("the day nought", SOUND.replace("2024-01-01", "0000-00-00") + "}", "occurred_on does not fit"),
    words("NUL", "\\u0000"),
    words("a control code", "\\u001b[2J"),
    words("an eight-bit control code", "\\u009b2J"),
    words("the right-to-left override", "\\u202e"),
    words("an isolate", "\\u2067"),
    words("an Arabic letter mark", "\\u061c"),
    words("10,001 signs", "x" * 10_001),
    amount('"1e999999"', "more digits than any scale"),
    amount("1e999999", "more digits than any scale"),
    amount("1e-999999", "more digits than any scale"),
    amount("9" * 5_000, "more digits than any scale"),
    amount('"sNaN"', "not a number"),
    amount('"Infinity"', "not a number"),
    amount("-1", "negative"),
    amount("1e-99999999999999999999", "amount does not fit", ExitCode.BAD_INPUT),
]

CARDS = [
    card("brackets", "[" * 4_000),
    card("a deep part", '{"card":"ncen-card/1","node":' + "[" * 4_000),
    card("a part that a terminal obeys", f'{{"card":"ncen-card/1","\\u001b[2J {CANARY}":1}}'),
    card("another role", f'{{"card":"ncen-card/1","node":"XB","role":"{CANARY}"}}'),
    card("no UTF-8", b"\xff"),
    card("nothing", ""),
    card("NUL", "\0" * 100),
    card("ten megabytes", "[" * 10_000_000),
    card("short keys", '{"card":"ncen-card/1","node":"XB","role":"nation","signing_key":"AA==","box_key":"AA=="}'),
]

LINES = [
    line("a position without end", ("search", "x", "--as-of", "9" * 5_000), "--as-of is"),
    line("a position beyond all", ("search", "x", "--as-of", "9" * 18), "not 9+ yet"),
    line("a day that is none", ("search", "x", "--as-of", "2024-02-30"), "--as-of is"),
    line("a zone beyond the day", ("search", "x", "--as-of", "2024-05-31T12:00:00+25:00"), "--as-of is"),
    line("bytes that are no UTF-8", ("search", "\udcff"), "no text in UTF-8"),
    line("a file of such a name", ("import", "seizures", "\udcff", "--mapping", "poland"), "no text in UTF-8"),
    line("an unknown option with words", ("search", f"--narrative={CANARY}"), "Unknown option: --narrative"),
    line("an unknown option of words", ("search", f"--{CANARY}"), "Unknown option"),
    line("a verb of words", (CANARY,), "no such verb"),
    line("more words than the verb takes", ("status", CANARY), "more words"),
    line("words without end", ("search", "a" * 100_000), "At most 1000"),
    line("fifty thousand words", ("search", "a " * 50_000), "At most 1000"),
    line("nothing but signs", ("search", "!&|():*'\\\""), "no word"),
    line("a turned sign", ("search", "\u202e"), "no word"),
    line("a name without end", ("search", "--name", "a" * 100_000), "At most 1000"),
    line("a filter nobody has", ("search", "--where", f"{CANARY}=1"), "FIELD=VALUE"),
    line("NUL in a filter", ("search", "--where", "origin=\0"), "characters that nothing"),
    line("a page that is none", ("search", "x", "--after", "\u00b2"), "not the mark"),
    line("hits without end", ("search", "x", "--limit", "9" * 30), "At most 1000"),
    line("a file whose name holds NUL", ("seizure", "record", "--json-file", "a\0b"), "NUL", ExitCode.BAD_INPUT),
    line("a folder for a file", ("seizure", "record", "--json-file", "/"), "cannot be read", ExitCode.BAD_INPUT),
]

CASES = named([*COMMANDS, *CARDS, *LINES])
