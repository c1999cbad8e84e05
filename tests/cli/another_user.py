"""Running our own code as another user of the machine, when the tests run as root.

The interpreter of the tests may lie where that user cannot go; then the system's own of the same version runs the same
packages. A test is skipped, and says so, only where neither can be run.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which another user finds our packages."""
    packages = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    return {
        "PATH": f"{os.defpath}:/usr/sbin:/sbin",
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_as(user: str, home: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments as `user` and return what it said; skip the test where that cannot be done."""
    entry = pwd.getpwnam(user)
    for python in (sys.executable, f"/usr/bin/{VERSION}"):
        if _runs(python, entry, home):
            return _run([python, "-W", "ignore", *arguments], entry, home, variables)
    pytest.skip(f"no {VERSION} with our packages can be run by the user {user}")


def _runs(python: str, entry: pwd.struct_passwd, home: Path) -> bool:
    try:
        return _run([python, "-c", "import cli.postgres, psycopg, pydantic"], entry, home, {}).returncode == 0
    except OSError:
        return False


def _run(
    command: list[str], entry: pwd.struct_passwd, home: Path, variables: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd="/",
        env={**environment(home), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
    )
