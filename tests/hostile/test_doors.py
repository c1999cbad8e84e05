"""Hostile bundles, certificates, settings, backups, keys, tiles and sign-ins: refused in a sentence, nothing kept."""

import gzip
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import argon2
import pytest

from access import accounts
from cli import backed_up
from cli.output import BadInput, ExitCode, Failure, VerificationFailed
from cli.restore import bring_back
from cli.restoring import Wish
from cli.settings import load
from ledger import given_file, verify_evidence
from ledger.checkpoint import NotCheckpoint
from ledger.given_file import Unusable
from ledger.tiles import Tiles
from tests.cli.closed import PASSWORD, Closed
from tests.cli.node import Inside
from tests.conftest import REAL_DECOY, REAL_HASHER
from tests.hostile.bundles import BUNDLES, SUCCESSIONS, bundle
from tests.hostile.case import CANARY
from tests.hostile.checking import MOST_BYTES, MOST_SECONDS, is_sentence
from tests.hostile.doors import DOORS, FILES, LINES, TRIED, doors
from tests.hostile.measuring import MB, used

HERE = Path(__file__).parent


def test_every_door_of_the_command_line_is_in_the_corpus() -> None:
    assert set(doors()) == set(TRIED), "say in doors.py what tries a new door"
    for file in (LINES, FILES, DOORS):
        assert (HERE / file).is_file()


# ---------------------------------------------------------------- names that lead to no file


@pytest.fixture
def no_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """What stands where a file belongs: each would be waited for, or read without end."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-zero").symlink_to("/dev/zero")
    (tmp_path / "to-fifo").symlink_to(tmp_path / "fifo")
    (tmp_path / "to-itself").symlink_to(tmp_path / "to-itself")
    names = ("fifo", "folder", "to-zero", "to-fifo", "to-itself", "not-there")
    yield {name: tmp_path / name for name in names} | {"zero": Path("/dev/zero")}
    (tmp_path / "to-itself").unlink()  # who cleans up would follow it


LINES_WITH_A_FILE = (
    ("evidence", "check", "FILE"),
    ("peer", "add", "FILE"),
    ("seizure", "record", "--json-file", "FILE"),
    ("offence", "record", "--json-file", "FILE"),
    ("person", "record", "--json-file", "FILE"),
    ("business", "record", "--json-file", "FILE"),
    ("premise", "add", "--json-file", "FILE"),
    ("seizure", "narrative", "0192f3a0-7c1b-7000-8000-000000000001", "--file", "FILE"),
    ("import", "seizures", "FILE", "--mapping", "poland"),
    ("import", "seizures", "/dev/null", "--mapping", "FILE"),
    ("vault", "scan", "FILE"),
    ("up", "--tls-cert", "FILE", "--tls-key", "FILE", "--tls-ca", "FILE"),
    ("--home", "new", "restore", "backup", "--keys", "FILE"),
)


@pytest.mark.parametrize("words", LINES_WITH_A_FILE, ids=lambda words: " ".join(words[:2]))
def test_what_is_no_file_is_refused_and_never_waited_for(
    words: tuple[str, ...], ncen: Inside, in_folder: Path, no_files: dict[str, Path], counted: Callable[[], object]
) -> None:
    backup_of(in_folder / "backup")
    before = counted()
    for name, path in no_files.items():
        with used() as used_up:
            line = ncen if "restore" not in words else Inside(in_folder / "new", "", code="XA")
            done = line.run(*(str(path) if word == "FILE" else word for word in words))
        assert done.returncode == ExitCode.BAD_INPUT, (name, done.returncode, done.stderr)
        assert is_sentence(done.stderr), (name, done.stderr)
        assert used_up.seconds < 5, name
        assert used_up.bytes < 100 * MB, name
    assert counted() == before


def test_what_a_shell_hands_over_may_be_a_pipe(ncen: Inside) -> None:
    reading, writing = os.pipe()
    os.write(writing, bundle())
    os.close(writing)
    try:
        done = ncen.run("evidence", "check", f"/dev/fd/{reading}")
    finally:
        os.close(reading)
    assert done.returncode == ExitCode.NOT_VERIFIED, done.stderr
    assert ncen.run("evidence", "check", "-", text="[]").returncode == ExitCode.NOT_VERIFIED


def test_without_the_look_at_what_it_is_a_pipe_is_waited_for(no_files: dict[str, Path]) -> None:
    """The negative control of all the above: opened as any file, it keeps its reader until somebody writes."""
    reader = threading.Thread(target=lambda: no_files["fifo"].open("rb").close(), daemon=True)
    reader.start()
    reader.join(0.5)
    assert reader.is_alive()
    no_files["fifo"].open("wb").close()
    reader.join(5)
    with pytest.raises(Unusable, match="no file"):
        given_file.read(no_files["fifo"], 1)


def test_no_more_is_read_than_the_door_takes_and_without_the_limit_all_of_it(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200 * MB)  # a file of holes

    def peak(read: Callable[[], object]) -> int:
        with used() as used_up, pytest.raises(Unusable, match="larger than 1 MB"):
            read()
        return used_up.bytes

    def unbounded() -> None:
        held = large.read_bytes()
        raise Unusable(f"larger than 1 MB: {len(held)}")

    assert peak(lambda: given_file.read(large, MB)) < 50 * MB
    assert peak(unbounded) > 150 * MB


# ---------------------------------------------------------------- bundles of evidence


@pytest.mark.parametrize("name", BUNDLES)
def test_a_hostile_bundle_is_refuted(name: str, ncen: Inside, in_folder: Path) -> None:
    make, says = BUNDLES[name]
    (in_folder / "b.json").write_bytes(make())
    with used() as used_up:
        done = ncen.run("evidence", "check", "b.json")
    assert done.returncode == ExitCode.NOT_VERIFIED, done.stderr
    assert done.stdout.startswith("REFUTED: ")
    assert re.search(says, done.stdout), done.stdout[:300]
    assert is_sentence(done.stdout)
    assert used_up.bytes < MOST_BYTES, used_up.bytes // MB
    assert used_up.seconds < MOST_SECONDS


def test_a_bundle_that_is_too_large_is_not_looked_at(ncen: Inside, in_folder: Path) -> None:
    with (in_folder / "b.json").open("wb") as file:
        file.truncate(verify_evidence.MOST_BYTES + 1)
    assert "larger than 64 MB" in ncen.fails(ExitCode.BAD_INPUT, "evidence", "check", "b.json")


def test_the_stand_alone_verifier_bounds_what_it_reads_and_waits_for_nobody(no_files: dict[str, Path]) -> None:
    large = no_files["folder"] / "large"
    with large.open("wb") as file:
        file.truncate(verify_evidence.MOST_BYTES + 1)
    for path, says in ((no_files["fifo"], "no file"), (no_files["to-zero"], "no file"), (large, "larger than any")):
        line = [sys.executable, verify_evidence.__file__, str(path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr


def test_without_its_limit_a_bundle_of_texts_exceeds_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = BUNDLES["eight million texts"][0]()

    def peak() -> int:
        with used() as used_up, pytest.raises(verify_evidence.Refuted):
            verify_evidence.check(raw, {})
        return used_up.bytes

    assert peak() < 50 * MB
    monkeypatch.setattr(verify_evidence, "MOST_PARTS", 1_000_000_000)
    assert peak() > MOST_BYTES


def test_what_many_keys_entries_and_values_would_cost_is_not_spent() -> None:
    values = verify_evidence.Values()
    for raw in (
        b"\xdd\x00\x10\xc8\xe0" + b"\xc0" * 1_100_000,
        b"\x91" * 5_000,
        b"\xdd\xff\xff\xff\xff",
        b"\x81\x90\xc0",
    ):
        with pytest.raises(verify_evidence.Refuted):
            values.unpacked(raw)
    told = {"key": "A" * 43 + "=", "successions": SUCCESSIONS}
    with pytest.raises(verify_evidence.Refuted, match="more keys"):
        verify_evidence.keys_for(told, "ncen/XA", 1)


# ---------------------------------------------------------------- settings and certificates

SETTINGS: dict[str, bytes] = {
    "brackets": b"node = " + b"[" * 10_000,
    "tables in tables": b"node = " + b"{a = " * 3_000,
    "a key of parts": b"a." * 8_000 + b"a = 1",
    "a number without end": b"node = " + b"9" * 10_000,
    "no UTF-8": b'node = "\xff"',
    "NUL": b"\0" * 100,
    "a key that a terminal obeys": b'"\\u001b[2J\\u202e" = 1',
    "a name of names": f'node = "{CANARY}"'.encode(),
    "more than settings are": b"#" * 100_000,
    "settings that are no one's": b'database_url = "x"',
}


@pytest.mark.parametrize("name", SETTINGS)
def test_hostile_settings_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "ncen.toml").write_bytes(SETTINGS[name])
    with used() as used_up:
        done = Inside(tmp_path, "", code="").run("status")
    assert done.returncode in {ExitCode.BAD_INPUT, ExitCode.USAGE}, done.stderr
    assert is_sentence(done.stderr), done.stderr
    assert CANARY not in done.stderr
    assert used_up.bytes < 100 * MB
    assert used_up.seconds < 5


VARIABLES: dict[str, str] = {
    "NCEN_NODE": "XA\u202e",
    "NCEN_USER": "\udcff\udcfe",
    "NCEN_ROLE": "nation\n",
    "NCEN_NATS_LISTEN": "9" * 5_000 + ":" + "9" * 5_000,
    "NCEN_PURPOSE": CANARY,
    "NCEN_LEGAL_BASIS": "X" * 1_000_000,
    "NCEN_DATABASE_URL": "postgresql://\x01[::",
    "NCEN_TOKEN": "ncen_\udcff" + "A" * 100_000,
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_hostile_variable_is_refused(
    name: str, ncen: Inside, closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = closed if name == "NCEN_TOKEN" else ncen
    kept = node.environment(None)
    monkeypatch.setattr(node, "environment", lambda _: kept | {name: VARIABLES[name]})
    facts = ("--office", "XAPORT", "--place", "PT", "--on", "2024-01-01", "--goods", "section=drugs")
    done = node.run("seizure", "record", *facts)
    assert done.returncode in {ExitCode.USAGE, ExitCode.BAD_INPUT, ExitCode.NOT_ALLOWED, ExitCode.UNREACHABLE}, (
        done.returncode,
        done.stderr,
    )
    assert is_sentence(done.stderr), done.stderr
    assert CANARY not in done.stderr


PEMS: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)) * 20,
    "NUL": b"\0" * 1_000,
    "PKCS#12": b"\x30\x82\x0a\x11\x02\x01\x03\x30\x82" + bytes(2_000),
    "a certificate that is none": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "a certificate without end": b"-----BEGIN CERTIFICATE-----\n" + b"A" * 500_000,
    "a key that asks for a password": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
    "ten megabytes": b"-" * 10_000_000,
}


@pytest.mark.parametrize("name", PEMS)
def test_a_hostile_certificate_starts_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_bytes(PEMS[name])
    flags = [word for flag in ("cert", "key", "ca") for word in (f"--tls-{flag}", str(tmp_path / "x.pem"))]
    with used() as used_up:
        done = Inside(tmp_path / "home", "", code="XA").run("up", *flags)
    assert done.returncode == ExitCode.BAD_INPUT, done.stderr
    assert is_sentence(done.stderr), done.stderr
    assert not (tmp_path / "home").exists(), "nothing was written, nothing was started"
    assert used_up.bytes < 100 * MB


# ---------------------------------------------------------------- backups, keys, tiles

NOTE = {
    "form": "ncen backup/1",
    "node": "XA",
    "role": "nation",
    "server": 180006,
    "system": "1",
    "timeline": 1,
    "base": {"at": "2026-01-01T00:00:00Z", "sealed": 0, "root": "0" * 64},
    "reached": {"at": "2026-01-01T00:00:00Z", "sealed": 0, "root": "0" * 64},
    "first_wal": "0" * 24,
    "last_wal": "0" * 24,
    "manifest": "0" * 64,
}


def backup_of(folder: Path, files: dict[str, bytes] | None = None, **note: object) -> Path:
    """A folder that looks like a backup, with these data files, each of which the manifest tells."""
    (folder / "base" / "pg_wal").mkdir(parents=True, exist_ok=True)
    (folder / "wal").mkdir(exist_ok=True)
    told = []
    for name, raw in (files or {"PG_VERSION": b"18\n"}).items():
        (folder / "base" / name).write_bytes(raw)
        told.append({"Path": name, "Size": len(raw)})
    (folder / "base" / "backup_manifest").write_text(json.dumps({"Files": told}))
    (folder / "backup.json").write_text(json.dumps(NOTE | note))
    return folder


NOTES: dict[str, bytes] = {
    "nothing": b"",
    "brackets": b"[" * 60_000,
    "a megabyte": b" " * 1_000_000,
    "no UTF-8": b"\xff",
    "a node that writes settings": json.dumps(NOTE | {"node": 'XA"\nnats_listen = "0.0.0.0:4222'}).encode(),
    "a segment that leads elsewhere": json.dumps(NOTE | {"first_wal": "../../../etc/passwd"}).encode(),
    "a part that nobody knows": json.dumps(NOTE | {"run": "rm"}).encode(),
    "a number without end": json.dumps(NOTE).replace("180006", "9" * 5_000).encode(),
}


@pytest.mark.parametrize("name", NOTES)
def test_a_hostile_note_restores_nothing(name: str, tmp_path: Path) -> None:
    backup_of(tmp_path / "b")
    (tmp_path / "b" / "backup.json").write_bytes(NOTES[name])
    done = Inside(tmp_path / "home", "", code="").run("restore", str(tmp_path / "b"))
    assert done.returncode == ExitCode.NOT_VERIFIED, done.stderr
    assert is_sentence(done.stderr), done.stderr
    assert not (tmp_path / "home").exists()


def holes(path: Path) -> None:
    """A file of a tebibyte, which takes no room where it lies."""
    with path.open("wb") as file:
        file.truncate(1 << 40)


def device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED HERE: only root can make a device")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


def link_in_place(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a link out of it": ("x", lambda path: path.symlink_to("/etc/passwd")),
    "a link to a device": ("x", lambda path: path.symlink_to("/dev/zero")),
    "a link to a folder": ("x", lambda path: path.symlink_to("/etc")),
    "a pipe": ("x", os.mkfifo),
    "a device": ("x", device),
    "a file that was not noted": ("x", lambda path: path.write_bytes(b"x")),
    "a file of holes": ("x", holes),
    "a segment of holes": ("pg_wal/0", holes),
    "a manifest of brackets": ("backup_manifest", lambda path: path.write_bytes(b"[" * 100_000)),
    "a manifest without end": ("backup_manifest", holes),
    "a manifest that is a link": ("backup_manifest", link_in_place),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_of_a_hostile_backup_nothing_is_copied(kind: str, tmp_path: Path) -> None:
    folder = backup_of(tmp_path / "b")
    name, spoil = SPOILT[kind]
    spoil(folder / "base" / name)
    with used() as used_up, pytest.raises(VerificationFailed, match="take another copy"):
        bring_back(load(home=tmp_path / "home"), Wish(folder))
    assert not list((tmp_path / "home").rglob("data*")), "nothing of it was copied"
    assert used_up.bytes < 100 * MB
    assert used_up.seconds < 5


def test_a_backup_that_does_not_fit_the_disk_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    folder = backup_of(tmp_path / "b")
    backed_up.require_plain(folder, 100)
    with pytest.raises(Failure, match="MB free"):
        backed_up.require_plain(folder, 2)


def test_settings_that_would_be_carried_out_are_not_copied(tmp_path: Path) -> None:
    kept = "max_connections = 100\nshared_buffers = '64MB'\n# archive_command = ''\n"
    hostile = "Restore_Command = 'x'\n archive_library='y'\ninclude_dir '/tmp'\ndata_directory = '/'\n"
    (tmp_path / "postgresql.auto.conf").write_text(hostile + kept)
    backed_up.disarm(tmp_path)
    assert (tmp_path / "postgresql.auto.conf").read_text() == kept


SEGMENTS: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: gzip.compress(bytes(60 * MB), 1),
    "noise": lambda: bytes(range(256)) * 50,
    "nothing": lambda: b"\x1f\x8b",
    "what was cut off": lambda: gzip.compress(bytes(1000))[:-4],
    "zeros behind it": lambda: gzip.compress(b"") + bytes(20 * MB),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_hostile_segment_is_refused(name: str, tmp_path: Path) -> None:
    segment = tmp_path / f"{'0' * 24}.gz"
    segment.write_bytes(SEGMENTS[name]())
    with used() as used_up, pytest.raises(VerificationFailed, match="is damaged"):
        backed_up.require_segment(segment)
    assert used_up.bytes < 100 * MB


def tar_of(*members: tuple[str, bytes | None, bytes]) -> bytes:
    """A tar of these members: name, type (None is a file), content or where a link leads."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, raw in members:
            told = tarfile.TarInfo(name)
            told.type = kind or tarfile.REGTYPE
            told.size = len(raw) if kind is None else 0
            told.linkname = raw.decode() if kind is not None else ""
            tar.addfile(told, io.BytesIO(raw))
    return made.getvalue()


GOOD_KEY = ("epoch.key", None, b"k" * 32)
TARS: dict[str, Callable[[], bytes]] = {
    "noise": lambda: bytes(range(256)) * 40,
    "a name that climbs": lambda: tar_of(GOOD_KEY, ("../../evil", None, b"x")),
    "a name from the root": lambda: tar_of(GOOD_KEY, ("/etc/evil", None, b"x")),
    "a name that climbs within": lambda: tar_of(GOOD_KEY, ("a/../../evil", None, b"x")),
    "a name that is a place": lambda: tar_of(GOOD_KEY, (".", None, b"x")),
    "a hidden name": lambda: tar_of(GOOD_KEY, (".ssh/authorized_keys", None, b"x")),
    "a name of two lines": lambda: tar_of(GOOD_KEY, ("key\n", None, b"x")),
    "a name that a terminal obeys": lambda: tar_of(GOOD_KEY, ("\x1b[2J\u202e", None, b"x")),
    "a link": lambda: tar_of(GOOD_KEY, ("s", tarfile.SYMTYPE, b"/etc/passwd")),
    "a hard link": lambda: tar_of(GOOD_KEY, ("h", tarfile.LNKTYPE, b"epoch.key")),
    "a device": lambda: tar_of(GOOD_KEY, ("d", tarfile.CHRTYPE, b"")),
    "a pipe": lambda: tar_of(GOOD_KEY, ("p", tarfile.FIFOTYPE, b"")),
    "a folder": lambda: tar_of(GOOD_KEY, ("f", tarfile.DIRTYPE, b"")),
    "a key twice": lambda: tar_of(GOOD_KEY, ("epoch.key", None, b"other")),
    "a key that is a folder too": lambda: tar_of(("a", None, b"x"), ("a/b", None, b"x")),
    "a key of two megabytes": lambda: tar_of(GOOD_KEY, ("large", None, bytes(2 * MB))),
    "a header without end": lambda: tar_of(GOOD_KEY, ("x" * 5 * MB, None, b"x")),
    "a packed tar": lambda: gzip.compress(tar_of(GOOD_KEY)),
    "what was cut off": lambda: tar_of(GOOD_KEY, ("b", None, bytes(100_000)))[:50_000],
    "a hundred megabytes": lambda: bytes(100 * MB),
}


@pytest.mark.parametrize("name", TARS)
def test_of_hostile_keys_none_is_taken(name: str, tmp_path: Path) -> None:
    (tmp_path / "keys.tar").write_bytes(TARS[name]())
    with used() as used_up, pytest.raises(BadInput, match=r"keys as `ncen backup|larger than"):
        backed_up.read_keys(tmp_path / "keys.tar")
    assert used_up.bytes < MOST_BYTES


def test_good_keys_are_taken(tmp_path: Path) -> None:
    (tmp_path / "keys.tar").write_bytes(tar_of(GOOD_KEY, ("certificates/one", None, b"c")))
    assert backed_up.read_keys(tmp_path / "keys.tar") == {"epoch.key": b"k" * 32, "certificates/one": b"c"}


def test_a_backup_goes_into_no_folder_of_something_else(ncen: Inside, in_folder: Path) -> None:
    (in_folder / "b").symlink_to("/dev/null")
    done = ncen.run("backup", "b")
    assert done.returncode in {ExitCode.USAGE, ExitCode.REFUSED}, done.stderr
    assert is_sentence(done.stderr)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"\0" * 1_000, b"x" * 1_000_000, b"ncen/XA\n" + b"9" * 900 + b"\n\n", b"a\n\n\xe2\x80\x94 x\n"],
)
def test_a_hostile_checkpoint_beside_tiles_is_none(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(raw)
    with pytest.raises(NotCheckpoint):
        Tiles(tmp_path).head()


# ---------------------------------------------------------------- signing in


@pytest.fixture(scope="module")
def closed(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """A node whose one user signs in with a password."""
    from ledger.schema import prepare

    prepare(module_url, node="XA")
    return Closed(tmp_path_factory.mktemp("closed"), module_url).begun()


def failures_of(node: Closed) -> int:
    import psycopg

    with psycopg.connect(node.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM access.failure").fetchone()
    return int(row[0]) if row else 0


USERS = (
    *("", "\0", "a\0b", "A" * 1_000_000, "\u202eboss", "b\u043ess", "\uff42oss", "boss\n", "boss ", "Boss"),
    *("' OR 1=1 --", "*", "../boss", "bo\u0301ss", "-boss"),
)


def test_a_user_that_can_be_none_is_refused_before_anything_is_counted(closed: Closed) -> None:
    before = failures_of(closed)
    for user in USERS:
        with used() as used_up:
            done = closed.run("login", *(["--"] if user.startswith("-") else []), user, text=f"{PASSWORD}\n")
        assert done.returncode == ExitCode.USAGE, (user[:20], done.stderr)
        assert is_sentence(done.stderr), done.stderr
        assert used_up.seconds < 2, user[:20]
    assert failures_of(closed) == before


SECRETS: dict[str, bytes] = {
    "a megabyte": b"x" * 1_000_000 + b"\n",
    "ten megabytes without an end": b"x" * 10_000_000,
    "NUL": b"correct\0horse\n",
    "no UTF-8": b"\xff\xfe\n",
    "a direction changed": "correct\u202ehorse\n".encode(),
    "a control code": b"\x1b[2J\n",
    "a surrogate": b"\xed\xa0\x80\n",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_hostile_password_is_refused_before_anything_is_counted(
    name: str, closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(accounts, "check", lambda *told: asked.append(told[3]))
    raw = SECRETS[name]
    with used() as used_up:
        done = typed(closed, raw)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert is_sentence(done.stderr), done.stderr
    assert not asked
    assert used_up.bytes < 50 * MB


def typed(node: Closed, raw: bytes, *words: str) -> "subprocess.CompletedProcess[str]":
    """Sign in with these bytes on standard input."""
    return node.run("login", "boss", *words, text=raw.decode(errors="surrogateescape"))


def test_a_password_is_the_same_however_its_accents_were_typed_and_never_only_begins_alike(closed: Closed) -> None:
    composed, taken_apart = "cr\u00e8me br\u00fbl\u00e9e 1234", "cre\u0300me bru\u0302le\u0301e 1234"
    closed.does("user", "password", text=f"{PASSWORD}\n{composed}\n")
    closed.does("login", "boss", text=f"{taken_apart}\n")
    longest = ("0123456789abcdef" * 16)[: accounts.LONGEST_PASSWORD]
    closed.does("user", "password", text=f"{composed}\n{longest}\n")
    assert closed.run("login", "boss", text=f"{longest}x\n").returncode == ExitCode.NOT_ALLOWED
    closed.does("login", "boss", text=f"{longest}\n")
    closed.does("user", "password", text=f"{longest}\n{PASSWORD}\n")
    closed.does("login", "boss", text=f"{PASSWORD}\n")


@pytest.mark.parametrize(
    "code", ["\u0661\u0662\u0663\u0664\u0665\u0666", "1" * 1_000_000, "12345", "1e5", "\u202e123456", ""]
)
def test_a_hostile_code_is_refused(code: str, closed: Closed) -> None:
    done = closed.run("login", "boss", f"--code={code}", text=f"{PASSWORD}\n")
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert is_sentence(done.stderr)


def test_passwords_are_hashed_as_the_standard_says() -> None:
    """RFC 9106, section 4, second recommendation; elsewhere in these tests a cheaper hasher stands in."""
    asked = REAL_HASHER
    assert (asked.type, asked.time_cost, asked.memory_cost, asked.parallelism) == (argon2.Type.ID, 3, 65_536, 4)
    assert argon2.extract_parameters(REAL_DECOY) == argon2.extract_parameters(asked.hash("x"))


def test_a_huge_password_costs_no_more_than_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed is bounded; with the bound taken away, all of it would be hashed."""
    hashed: list[int] = []

    class Counting(argon2.PasswordHasher):
        def verify(self, _: str | bytes, password: str | bytes) -> "object":  # type: ignore[override]
            hashed.append(len(password))
            raise argon2.exceptions.VerifyMismatchError

    monkeypatch.setattr(accounts, "_hasher", Counting())
    accounts._verify(accounts.DECOY, "x" * 50_000_000)
    monkeypatch.setattr(accounts, "LONGEST_PASSWORD", 100_000_000)
    accounts._verify(accounts.DECOY, "x" * 50_000_000)
    assert hashed == [256, 50_000_000]
