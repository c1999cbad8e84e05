"""What we build on: locked by hash, under licences an administration can live with, and no secret among our files."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from tests.house.test_rules import ROOT, tracked

PERMISSIVE = re.compile(
    r"MIT|MIT-0|BSD|0BSD|[23]-Clause|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|HPND|MPL|Mozilla"
)
LESSER = re.compile(r"LGPL|Lesser General Public")
COPYLEFT = re.compile(r"(?<!L)(?<!L-)GPL|(?<!Lesser )General Public|AGPL|Affero|SSPL|Commons Clause|BUSL|Elastic")
PLUGINS = (
    *("AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector", "DiscordBotTokenDetector"),
    *("GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "NpmDetector"),
    *("OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"),
)
INVENTED = re.compile(r"(?i)invented|example|placeholder|wrong|secret@|:x@|pass(word)?@|p%40ss|:\{|user:pw")
"""What a test or a page shows as the form of an address with a password in it."""


def locked() -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    return packages


def files_without_hash(packages: list[dict[str, Any]]) -> list[str]:
    """Locked packages with a file that is not held to a SHA-256, or with no file at all."""
    found = []
    for package in packages:
        if "editable" in package["source"] or "virtual" in package["source"]:
            continue  # ourselves
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        if not files or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", file.get("hash", "")) for file in files):
            found.append(package["name"])
    return found


def test_every_package_is_locked_by_hash_and_comes_as_a_wheel() -> None:
    packages = locked()
    assert len(packages) > 50
    assert files_without_hash(packages) == []
    others = [package["name"] for package in packages if not package.get("wheels") and "registry" in package["source"]]
    assert others == [], "a package without a wheel would run its own code when it is installed"
    assert files_without_hash([{"name": "loose", "source": {"registry": "x"}, "wheels": [{"url": "y"}]}]) == ["loose"]


def test_the_installer_itself_is_held_to_hashes() -> None:
    text = (ROOT / "bootstrap.txt").read_text(encoding="utf-8")
    assert re.search(r"^uv==[0-9.]+ \\$", text, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= 10
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")


def verdict(licence: str) -> str | None:
    """Why a licence cannot be used here, or None. Of several to choose from (`OR`), one that can is enough."""
    choices = re.split(r"\s+OR\s+|;", licence)
    if any(PERMISSIVE.search(one) and not COPYLEFT.search(one) for one in choices) or LESSER.search(licence):
        return None
    return "copyleft" if COPYLEFT.search(licence) else "not known to be permissive"


@pytest.mark.parametrize(
    "licence",
    ["GPL-3.0-only", "GNU General Public License v3 (GPLv3)", "AGPL-3.0", "GNU Affero", "SSPL-1.0", "UNKNOWN"],
)
def test_a_licence_that_binds_is_found(licence: str) -> None:
    assert verdict(licence) is not None


def test_no_package_binds_an_administration_to_more_than_the_lesser_gpl() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    licences = {one["Name"]: one["License"] for one in json.loads(told.stdout)}
    assert {"cryptography", "eventsourcing", "psycopg", "msgspec"} <= set(licences)
    assert {name: f"{licence}: {why}" for name, licence in licences.items() if (why := verdict(licence))} == {}


def secrets_in(paths: list[Path]) -> Iterator[str]:
    """Where something looks like a key, a token or an address with a password in it."""
    with transient_settings({"plugins_used": [{"name": name} for name in PLUGINS]}):
        for path in paths:
            collection = SecretsCollection()
            collection.scan_file(str(path))
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for _, secret in collection:
                if not INVENTED.search(lines[secret.line_number - 1]):
                    yield f"{path}:{secret.line_number}: {secret.type}"


def test_no_secret_is_among_our_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = [Path(name) for name in tracked() if name != "uv.lock" and Path(name).is_file()]
    assert list(secrets_in(text)) == []


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    begin = "-----BEGIN " + "PRIVATE KEY-----"
    token = "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    planted.write_text(f'KEY = """{begin}"""\nTOKEN = "{token}"\n', encoding="utf-8")
    assert len(list(secrets_in([planted]))) == 2
