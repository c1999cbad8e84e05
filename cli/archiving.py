"""How the embedded PostgreSQL keeps its write-ahead log: what was written, segment by segment, for a point in time.

It is kept exactly while the folder `archive` lies beside the data: `ncen backup` makes it, and taking it away ends it
without a restart. A segment is flushed before it counts, whole or not there at all, and kept again only if it is the
same; a server that cannot keep one says so in its log and holds on to it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ARCHIVE = "archive"
SCRIPT_NAME = "archive.sh"
FETCHED = "restored-wal"
FETCH_NAME = "fetch.sh"
ENDING = ".gz"
SEGMENT = re.compile(r"^[0-9A-F]{24}$")
SEGMENTS_IN_A_LOG = 256  # of 16 MiB, the size that initdb gives them

SETTINGS: Mapping[str, str] = {  # the server's programs are started in its data folder
    "archive_mode": "on",
    "archive_command": f'\'/bin/sh ../{SCRIPT_NAME} "%p" "%f"\'',
    "archive_timeout": "'1min'",  # what a lost disk may cost: a segment is closed after this, full or not
}
SCRIPT = f"""\
# Written by ncen at every start: keeps one segment ($1) of the write-ahead log under its name ($2).
set -eu
test -d ../{ARCHIVE} || exit 0
kept="../{ARCHIVE}/$2{ENDING}"
if test -e "$kept"; then
    gzip -dc "$kept" | cmp -s - "$1"
    exit
fi
umask 077
new="../{ARCHIVE}/.$2.new"
gzip -1c < "$1" > "$new"
sync "$new"
mv "$new" "$kept"
sync ../{ARCHIVE}
"""
RESTORE_COMMAND = f'\'/bin/sh ../{FETCH_NAME} "%f" "%p"\''
FETCH_SCRIPT = f"""\
# Written by `ncen restore`: fetches one segment ($1) of the write-ahead log to where the server wants it ($2).
set -eu
test -e "../{FETCHED}/$1{ENDING}" || exit 1
gzip -dc "../{FETCHED}/$1{ENDING}" > "$2"
"""


def kept(folder: Path) -> dict[str, Path]:
    """Return what a folder keeps, by its name in the write-ahead log."""
    return {path.name.removesuffix(ENDING): path for path in folder.glob(f"*{ENDING}") if not path.name.startswith(".")}


def number(segment: str) -> int:
    """Return the number of a segment, counted without its timeline."""
    return int(segment[8:16], 16) * SEGMENTS_IN_A_LOG + int(segment[16:24], 16)


def missing(first: str, last: str, names: Iterable[str]) -> int | None:
    """Return the number of the first segment that is wanting between two, None where none is."""
    there = {number(name) for name in names if SEGMENT.match(name)}
    return next((each for each in range(number(first), number(last) + 1) if each not in there), None)
