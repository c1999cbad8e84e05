"""Flags go before the environment before the node's file, and a wrong value is named."""

import os
from pathlib import Path

import pytest

from cli.certificates import is_encrypted, of_links
from cli.output import BadInput, Misused
from cli.settings import default_home, load


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NCEN_")]:
        monkeypatch.delenv(name)


def test_flags_go_before_the_environment_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCEN_HOME", str(tmp_path))
    assert load().node == "XX"
    (tmp_path / "ncen.toml").write_text('node = "FR"\nrole = "cen"\nnats_listen = "10.0.0.1:4222"\n')
    assert (load().node, load().role, load().nats_address) == ("FR", "cen", ("10.0.0.1", 4222))
    monkeypatch.setenv("NCEN_NODE", "DE")
    monkeypatch.setenv("NCEN_ROLE", "")
    assert (load().node, load().role) == ("DE", "cen")
    assert load(node="BE", role=None).node == "BE"


@pytest.mark.parametrize("name", ["FR", "DE-NORTH", "XK2", "CEN", "AB-345678901"])
def test_a_node_is_named_by_its_country(name: str, tmp_path: Path) -> None:
    assert load(home=tmp_path, node=name).node == name


@pytest.mark.parametrize("name", ["fr", "F", "FR NORTH", "1R", "AB-3456789012", "FR\n", ""])
def test_other_names_are_refused_with_what_would_fit(name: str, tmp_path: Path) -> None:
    with pytest.raises(Misused, match="--node: a node's name is two capital letters"):
        load(home=tmp_path, node=name)


@pytest.mark.parametrize("address", ["localhost:4222", "10.0.0.1", "10.0.0.1:70000", "10.0.0.1:x", ":4222"])
def test_an_address_is_an_ip_and_a_port(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCEN_NATS_LISTEN", address)
    with pytest.raises(Misused, match="NCEN_NATS_LISTEN: it is an IP address and a port"):
        load(home=tmp_path)


def test_an_ip_of_version_6_is_an_address(tmp_path: Path) -> None:
    assert load(home=tmp_path, nats_listen="[::1]:4222").nats_address == ("::1", 4222)


def test_a_wrong_file_is_a_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "ncen.toml"
    file.write_text("node = \n")
    with pytest.raises(BadInput, match="not valid TOML"):
        load(home=tmp_path)
    file.write_text('nodes = "FR"\n')
    with pytest.raises(BadInput, match="holds nodes, which ncen does not know"):
        load(home=tmp_path)
    file.write_text('role = "king"\n')
    with pytest.raises(Misused, match=r"ncen\.toml: it is nation or cen"):
        load(home=tmp_path)


def test_a_node_keeps_the_name_it_was_given(tmp_path: Path) -> None:
    home = tmp_path / "home"
    named = load(home=home).named(node="FR", role=None, nats="always")
    assert (named.node, named.nats) == ("FR", "always")
    assert load(home=home).named(node="FR").node == "FR"
    assert load(home=home).named(nats="auto").nats == "auto"
    with pytest.raises(Misused, match="This home's node is FR"):
        load(home=home).named(node="DE")
    assert load(home=home).node == "FR"


def test_the_home_and_its_keys_are_the_owners_alone(tmp_path: Path) -> None:
    settings = load(home=tmp_path / "a" / "home")
    settings.make_folders()
    settings.make_folders()
    assert settings.home.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    for folder in (settings.keys, settings.run, settings.log):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_addresses_with_passwords_are_not_shown(tmp_path: Path) -> None:
    settings = load(home=tmp_path, database_url="postgresql://u:hidden@h/d", nats_url="nats://u:hidden@h")
    assert "hidden" not in repr(settings)


def test_the_default_home_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_home() == Path("/home/someone/.local/share/ncen")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/data/ncen")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/ncen")


def test_links_are_encrypted_with_three_files_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_encrypted(load(home=tmp_path))
    monkeypatch.setenv("NCEN_TLS_CERT", str(tmp_path / "node.pem"))
    monkeypatch.setenv("NCEN_TLS_KEY", "node.key")
    with pytest.raises(BadInput, match="set tls_ca too"):
        is_encrypted(load(home=tmp_path))
    monkeypatch.setenv("NCEN_TLS_CA", str(tmp_path / "ca.pem"))
    settings = load(home=tmp_path)
    assert is_encrypted(settings)
    assert settings.tls_key == Path("node.key").absolute()
    with pytest.raises(BadInput, match=r"ca\.pem: it cannot be read"):
        of_links(settings)
