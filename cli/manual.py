"""The reference page of the `ncen` command, written from the command itself, so that it cannot drift from it.

What holds for every verb is said once, at the top; each verb is then told with its own arguments and options. The page
is the same on every machine: it holds no default that comes from one.
"""

# ruff: noqa: E501  # a table of the page it writes has its rows on one line

import re
import sys

from cli.main import app
from cli.output import ExitCode
from cli.typed import DESCRIPTIONS, GOODS_EXAMPLE, GOODS_PARTS, HS_EDITION, SUBSTANCES, UNITS
from domain.codes import Qualifier

MEANINGS = {
    ExitCode.DONE: "Done.",
    ExitCode.REFUSED: "Refused by a rule; the sentence says by which.",
    ExitCode.USAGE: "The line cannot be understood: a missing or unfitting flag, an unknown verb, nobody who acts.",
    ExitCode.NOT_FOUND: "There is no such record, peer or file of the node.",
    ExitCode.UNREACHABLE: "A server (PostgreSQL, NATS) could not be started or does not answer.",
    ExitCode.BAD_INPUT: "A file that was given cannot be used: not there, not JSON, not such a command.",
    ExitCode.NOT_VERIFIED: "Something stored does not fit its proof.",
    ExitCode.NOT_ALLOWED: "Nobody is signed in at a closed node, or the role of who is does not allow it.",
    ExitCode.FAULT: "A fault in ncen itself; only its kind and place are told.",
    ExitCode.INTERRUPTED: "Interrupted from the keyboard.",
}

HEAD = """# The `ncen` command

This page is written from the command itself (`make docs`); a test fails when the two differ.

Data go to standard output and messages to standard error. Every verb takes `--json`, for programs, and `--help`.
A line that fails says why in a sentence; under `--json` it prints `{{"error": {{"code", "message"}}}}` instead.

## Exit codes

| code | meaning |
|---|---|
{codes}

## Everywhere

| option | meaning |
|---|---|
| `--json` | Print JSON, for programs. |
| `--as USER` | Who acts (or `NCEN_USER`): a staff identifier, never a name. Nobody is guessed: without it nothing is recorded. |
| `--home PATH` | The node's folder (or `NCEN_HOME`). |
| `--help`, `-h` | Explain a verb. |

## Who acts, and why

Every verb that records something says who acts, in which role, for what purpose and on what legal basis. A flag goes
before the environment, which goes before `ncen.toml`, which goes before the default of the verb.

| option | variable | in ncen.toml | when nothing is said |
|---|---|---|---|
| `--as` | `NCEN_USER` | | refused (exit code 2) |
| `--role` | `NCEN_ACTING_ROLE` | `acting_role` | `officer`; `supervisor` to validate or return; `legal-officer` for premises; `data-manager` to import |
| `--purpose` | `NCEN_PURPOSE` | `purpose` | `detection`; `prosecution` for offences, `investigation` for persons and businesses, `exchange` for premises, `administration` to import |
| `--legal-basis` | `NCEN_LEGAL_BASIS` | `legal_basis` | the node's country and `CUSTOMS-ACT`, as in `XA:CUSTOMS-ACT` |

`--command-id UUID` makes such a line repeatable: said twice, it has one effect and the same answer. A record that is
made without `--id` then takes the command's id. `--wait SECONDS` bounds how long the line waits after the entry is on
disk until `list`, `search` and `stats` show it; it waits no longer than it must, and says so when they do not show it
yet. `show` and `history` read the ledger itself and always show what was recorded.

## Short forms

**Goods** are told in parts: `{goods}`. The parts are {parts}; a comma inside a part is no harm. `section` is needed.

* `quantity` is a number, a unit and, if known, how: `2.5 kg`, `2,5 kg measured`, `~40 l` (estimated), `200 pieces
  counted`. After the unit may stand {qualifiers}. Units are {units}, or any code of UN/ECE Recommendation 20. Thousands
  may be spaced (`1 500`); a comma before exactly three digits is refused, because it could mean two things.
* `value` is a number and a currency (ISO 4217): `12000 EUR`.
* `hs` is a commodity code: `240220` (HS {hs}) or `2017:240220`.
* `substance` and `description` are codes: `cocaine` (of the node's own lists, {lists}) or `LIST:EDITION:CODE`.
* An empty part (`origin=`) takes back what was said before, in `seizure goods correct`.

**Places** are a country (`CO`), a UN/LOCODE (`COBOG`), a subdivision (`CO-DC`), or several of them in quotes.
**Parties** are `ID:ROLE` or `ID:ROLE:CATEGORY`, **documents** `KIND:NUMBER` or `KIND:NUMBER:COUNTRY`, **plates**
`NUMBER` or `NUMBER:COUNTRY`. **Days** are `2024-05-31`. `--as-of` takes a ledger position (`1234`), a day (its end, in
UTC) or a time (`2024-05-31T12:00:00Z`).

## Verbs

"""

# A block of options that is told once, at the top: a heading in bold and its list.
_SHARED = re.compile(r"\*\*(?P<group>Who acts, and why|Everywhere)\*\*:\n\n(?:\* .*\n)+\n?")
# A default that is a path is that of the machine on which the page is written.
_OF_A_MACHINE = re.compile(r" \*\[default: /[^\]]*\]\*")


def markdown() -> str:
    """The reference page."""
    units = ", ".join(f"`{word}`" for word in UNITS)
    head = HEAD.format(
        codes="\n".join(f"| {code.value} | {MEANINGS[code]} |" for code in ExitCode),
        goods=GOODS_EXAMPLE,
        parts=", ".join(f"`{part}`" for part in GOODS_PARTS),
        qualifiers=", ".join(f"`{how}`" for how in Qualifier),
        units=units,
        hs=HS_EDITION,
        lists=f"`{SUBSTANCES[0]}` and `{DESCRIPTIONS[0]}`, edition {SUBSTANCES[1]}",
    )
    told = _generated()
    verbs = _OF_A_MACHINE.sub("", told[told.index("### ncen ") :])
    return head + _SHARED.sub(_told_above, verbs).rstrip() + "\n"


def _generated() -> str:
    started_as = sys.argv
    sys.argv = ["ncen"]  # cyclopts names a program after how this process was started
    try:
        return app.generate_docs(heading_level=2, usage_name="ncen")
    finally:
        sys.argv = started_as


def _told_above(found: re.Match[str]) -> str:
    if found["group"] == "Everywhere":
        return ""
    return "And the options of [who acts, and why](#who-acts-and-why).\n\n"
