"""Negative controls: with a limit taken away, the same file takes what the limit would not have let it take."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import workbooks

ROOT = Path(__file__).parents[2]
RUN = """
import resource, sys, tempfile
from intake import apart, csv_rows, excel_rows, files, json_rows, mapping_file
from intake.files import opened
from intake.mapping import File
from intake.rows import Unreadable
open("/proc/self/clear_refs", "w").write("5")  # our peak, and not that of whom we were forked from
spooled, keep = 0, files._keep
def count(piece, kept):
    global spooled
    spooled += len(piece)
    keep(piece, kept)
files._keep = count
if sys.argv[2] == "lifted":
    csv_rows.LONGEST_LINE = csv_rows.LONGEST_ROW = 1_000_000_000
    files.HIGHEST_RATIO = 10_000
    excel_rows.FIRST_MEMORY_BYTES = json_rows.FIRST_MEMORY_BYTES = 1_500_000_000
    mapping_file.LIMITS = mapping_file.LIMITS._replace(memory_bytes=1_500_000_000, cpu_s=60)
try:
    if sys.argv[1].endswith("toml"):
        mapping_file.load(sys.argv[1])
    elif sys.argv[1].endswith("json"):  # to take it apart is what fills memory, to write it down takes long
        run = apart.run
        apart.run = lambda *told: run(*told[:4], told[4]._replace(output_bytes=1_000))
        with open(sys.argv[1], "rb") as file, tempfile.TemporaryFile() as kept:
            json_rows._take_apart(file, "", kept)
    else:
        with opened(sys.argv[1], File(), frozenset()) as rows:
            next(iter(rows), None)
except (Unreadable, mapping_file.MappingError) as refused:
    pass
ours = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(max(ours // 1024, theirs // 1024, spooled // 1024 ** 2))
"""
BOUND_MB = 400
BOMBS = {
    "f.json": lambda: b"[" + b"{}," * 7_000_000 + b"{}]",
    "f.xlsx": lambda: workbooks.repeated_text(20_000),
    "f.csv": lambda: b"a" * 250_000_000,
    "f.csv.gz": lambda: gzip.compress(b"1\n" * 25_000_000, compresslevel=1) * 10,
    "f.toml": lambda: b"a." * 14_000 + b"a = 1",
}


@pytest.mark.parametrize("name", BOMBS)
def test_without_its_limit_a_bomb_exceeds_the_bound(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())

    def peak_mb(limit: str) -> int:
        line = [sys.executable, "-c", RUN, str(path), limit]
        return int(subprocess.run(line, cwd=ROOT, capture_output=True, check=True, timeout=120).stdout)

    assert peak_mb("kept") < BOUND_MB
    assert peak_mb("lifted") > BOUND_MB
