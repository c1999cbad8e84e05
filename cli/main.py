"""The `ncen` command: which verbs there are, and what holds for all of them.

It keeps these rules: a verb's module is imported only when the verb is called, so that `ncen --help` answers at once;
`--json`, `--as` and `--home` stand anywhere on the line; every error becomes a sentence and an exit code in one place.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from cli import output

EVERYWHERE = Group("Everywhere", sort_key=99)
HELP = frozenset(("--help", "-h", "--version"))


def version() -> str:
    """Return the installed version of ncen."""
    from importlib.metadata import version as version_of

    return version_of("ncen")


app = App(
    name="ncen",
    help="One node of a customs enforcement network: record, find, prove, and exchange what the law allows.",
    default_parameter=Parameter(negative=()),
    help_format="plaintext",
    version=version,
    result_action="return_value",
    print_error=False,
    exit_on_error=False,
)
NODE = Group("This node", sort_key=1)
RECORDS = Group("Records", sort_key=2)
READING = Group("Find and prove", sort_key=3)
EXCHANGE = Group("Exchange", sort_key=4)
ACCESS = Group("Who may what", sort_key=5)

# Verbs are named by text, so that only the one that is called is imported.
app.command("cli.lifecycle:up", name="up", group=NODE, help="Start this node, or what of it does not run.")
app.command("cli.demo.run:demo", name="demo", group=NODE, help="Show two nations and a CEN sink on this machine.")
app.command("cli.lifecycle:down", name="down", group=NODE, help="Stop this node; what was recorded stays.")
app.command("cli.status:status", name="status", group=NODE, help="Show what runs and how far it has come.")
app.command("cli.backup:backup", name="backup", group=NODE, help="Copy the ledger, or bring its copy up to date.")
app.command("cli.restore:restore", name="restore", group=NODE, help="Bring a node back from a backup, and verify it.")
app.command(
    "soak.verb:soak", name="soak", group=NODE, help="Try for hours what a node promises, on servers of its own."
)
app.command("cli.vault:app", name="vault", group=NODE, help="Show how subjects' keys are wrapped, and rotate them.")
app.command("cli.lifecycle:work", name="work", group=NODE, help="Do one part of the node's work until asked to stop.")

for verb, module, words in (
    ("seizure", "seizures", "Record seizures, correct them, and carry them to validation."),
    ("offence", "offences", "Record offences, and follow the proceedings."),
    ("person", "persons", "Put persons on record, and what is said of them."),
    ("business", "businesses", "Put businesses on record, and what is said of them."),
    ("import", "imports", "Take files of seizures in, by a mapping that says what their columns mean."),
):
    app.command(f"cli.{module}:app", name=verb, group=RECORDS, help=words)
for verb, target, words in (
    ("history", "history:history", "Print every entry of a record: when, who, why, and what changed."),
    ("search", "search:search", "Search what is on record: by words, filters and names."),
    ("stats", "stats:app", "Count and add up what is on record, exactly, as of a ledger position."),
    ("verify", "verify:verify", "Recompute what is stored, and name the first entry that does not fit."),
    ("fsck", "fsck:fsck", "Name every entry that is damaged, and what is wrong with it."),
    ("proof", "proof:app", "Prove a record's entries in a signed checkpoint, and write the tree as tiles."),
    ("keys", "keys:app", "Show and replace the keys that checkpoints are signed with."),
    ("loss", "losses:app", "Acknowledge that a part of the history was lost, and list the losses."),
    ("evidence", "evidence:app", "Make a bundle that proves records elsewhere, and print what checks it."),
):
    app.command(f"cli.{target}", name=verb, group=READING, help=words)
for verb, module, words in (
    ("premise", "premises", "Put on record on what legal premises data may go to other nodes."),
    ("peer", "peers", "Add the nodes we exchange with, and show our own card."),
    ("feed", "feeds", "Show the feeds to and from peers, and explain what would go, and why not the rest."),
    ("cen", "cen", "Show what the CEN would be told of a seizure."),
):
    app.command(f"cli.{module}:app", name=verb, group=EXCHANGE, help=words)


app.command("cli.login:login", name="login", group=ACCESS, help="Sign in at a closed node.")
app.command("cli.login:logout", name="logout", group=ACCESS, help="End the session that was begun here.")
app.command("cli.login:whoami", name="whoami", group=ACCESS, help="Tell who is signed in, and in which roles.")
app.command(
    "cli.processing_log:app",
    name="log",
    group=ACCESS,
    help="Tell who saw whom and who did what, and whether it is whole.",
)
app.command("cli.users:app", name="user", group=ACCESS, help="Put users on record, and grant and withdraw their roles.")


@app.command(group=NODE)
def completion(shell: Literal["bash", "zsh", "fish"] = "bash") -> None:
    """Print a script that completes ncen's verbs and options in a shell.

    Args:
        shell: Which shell: try `source <(ncen completion bash)`.
    """
    script = app.meta.generate_completion(shell=shell)
    if output.manner.json:
        output.show({"shell": shell, "script": script})
    else:
        sys.stdout.write(script)


app.register_install_completion_command(group=NODE, help="Install the completion script for your shell.")


def _admit(tokens: Sequence[str]) -> None:
    """Find out who calls this verb and whether they may; a line that only asks for help calls none."""
    chain, apps, _ = app.parse_commands(tokens)
    before_end = tokens[: tokens.index("--")] if "--" in tokens else tokens
    if chain and not chain[0].startswith("-") and apps[-1].default_command and not HELP.intersection(before_end):
        from cli.signing import signing

        signing.admit(" ".join(chain))


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    json: Annotated[bool, Parameter(group=EVERYWHERE, help="Print JSON, for programs.")] = False,
    user: Annotated[str | None, Parameter(name="--as", group=EVERYWHERE, help="Who acts (or NCEN_USER).")] = None,
    home: Annotated[Path | None, Parameter(group=EVERYWHERE, help="The node's folder (or NCEN_HOME).")] = None,
) -> object:
    output.manner.json = json
    output.manner.user = user
    if home is not None:
        os.environ["NCEN_HOME"] = str(home.expanduser().absolute())
    try:
        _admit(tokens)
        return app(tokens)
    finally:
        _forget()


def _forget() -> None:
    """Know nobody when a line has ended, whatever the process does next."""
    if "cli.signing" in sys.modules:
        sys.modules["cli.signing"].signing.caller = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one `ncen` command line and return its exit code."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    output.manner.json = "--json" in line  # also for a line that cannot be understood
    output.manner.user = None
    try:
        output.require_text(line)
        result = app.meta(line, result_action="return_value", print_error=False, exit_on_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return int(output.fail(error))
    except BrokenPipeError:  # the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(output.ExitCode.DONE)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the one place where errors become sentences
        return int(output.fail(error))
    return int(result) if isinstance(result, output.ExitCode) else 0


if __name__ == "__main__":
    sys.exit(main())
