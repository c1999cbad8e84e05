"""Every door through which a verb takes a file, and what tries it; doors are found by walking the command line."""

from collections.abc import Iterator

from cyclopts import App

from cli.main import app

LINES, FILES, DOORS, WRITTEN = "test_lines.py", "test_files.py", "test_doors.py", "it is written, never read"

TRIED = {
    "up --tls-cert": DOORS,
    "up --tls-key": DOORS,
    "up --tls-ca": DOORS,
    "demo --data": "our own data sets, on a node that is thrown away",
    "backup FOLDER": DOORS,
    "backup --with-keys": WRITTEN,
    "restore FOLDER": DOORS,
    "restore --archive": DOORS,
    "restore --keys": DOORS,
    "soak --report": WRITTEN,
    "seizure record --json-file": LINES,
    "seizure narrative --file": LINES,
    "offence record --json-file": LINES,
    "offence narrative --file": LINES,
    "person record --json-file": LINES,
    "business record --json-file": LINES,
    "premise add --json-file": LINES,
    "import seizures FILE": FILES,
    "import seizures --mapping": FILES,
    "vault scan FILE": DOORS,
    "vault scan --also": "searched for bytes, and nothing in it is believed",
    "fsck --tiles": DOORS,
    "proof tiles FOLDER": DOORS,
    "evidence make --output": WRITTEN,
    "evidence check FILE": DOORS,
    "peer add FILE": LINES,
    "peer replace FILE": LINES,
}
"""What each door is tried by: a file of this folder, or why it needs none."""


def doors(of: App = app, chain: tuple[str, ...] = ()) -> Iterator[str]:
    """The parameters of all verbs that name a file or a folder, by their types and names."""
    for name in of:
        if name.startswith("-"):
            continue
        verb, here = of[name], (*chain, name)
        if verb.default_command is not None:
            for one in verb.assemble_argument_collection():
                plain = one.name.lower().strip("-")
                if "Path" in str(one.hint) or plain in {"file", "json-file", "mapping", "folder", "card"}:
                    yield f"{' '.join(here)} {one.name}"
        yield from doors(verb, here)
