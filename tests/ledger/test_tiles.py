"""Tiles: a tree as files, from which every proof can be made again, and which name each entry that was forged."""

from pathlib import Path

import pytest

from ledger import checkpoints, merkle
from ledger.errors import Conflict, NotFound
from ledger.ledger import Ledger
from ledger.prover import Prover
from ledger.sessions import Session
from ledger.tiles import Tiles, path_of
from ledger.tree import Tree
from tests.ledger.test_checkpoints import forge, record

TABLES = ("entry", "sealed", "subtree")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def prover(ledger: Ledger, keys: Path, folder: Path) -> Prover:
    return Prover.open(keys, node=ledger.node, folder=folder)


def write(session: Session, prover: Prover, tiles: Tiles) -> int:
    prover.look(session)
    newest = checkpoints.find(session, prover.keys, prover.folder).newest
    assert newest is not None
    tiles.write(session, newest.note, newest.head)
    return newest.size


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 5, 70, "tile/0/005.p/70"),
        (1, 1234067, 256, "tile/1/x001/x234/067"),
        (0, 1000, 1, "tile/0/x001/000.p/1"),
    ],
)
def test_tiles_lie_where_c2sp_puts_them(level: int, number: int, width: int, path: str) -> None:
    assert path_of(level, number, width) == path


def test_proofs_made_of_tiles_alone_are_ours(session: Session, ledger: Ledger, prover: Prover, tmp_path: Path) -> None:
    tiles, tree = Tiles(tmp_path / "tiles"), Tree(session)
    for count in (3, 253, 1, 600):
        record(ledger, session, count)
        size = write(session, prover, tiles)
        tree = Tree(session)
        assert tiles.root(size) == tree.root(size)
        for position in {1, 2, size // 2 + 1, size}:
            made = merkle.inclusion_path(tiles.subtree, position - 1, size)
            assert made == tree.prove_inclusion(position, size)
        for before in {1, size // 3 + 1, size}:
            assert merkle.consistency_path(tiles.subtree, before, size) == tree.prove_consistency(before, size)
    names = sorted(str(path.relative_to(tiles.folder)) for path in tiles.folder.rglob("*") if path.is_file())
    assert names == ["checkpoint", "tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003.p/89", "tile/1/000.p/1",
                     "tile/1/000.p/3"]  # fmt: skip
    assert (tiles.folder / "tile/0/000").stat().st_size == 8192
    assert prover.keys.read((tiles.folder / "checkpoint").read_text()).size == 857


def test_only_what_is_new_is_written(session: Session, ledger: Ledger, prover: Prover, tmp_path: Path) -> None:
    tiles = Tiles(tmp_path / "tiles")
    record(ledger, session, 600)
    write(session, prover, tiles)
    first = tiles.folder / "tile/0/000"
    before = first.stat().st_mtime_ns
    record(ledger, session, 10)
    write(session, prover, tiles)
    assert first.stat().st_mtime_ns == before
    with pytest.raises(NotFound):
        tiles.root(2_000)


def test_tiles_of_another_history_are_not_written_over(
    session: Session, ledger: Ledger, prover: Prover, tmp_path: Path
) -> None:
    tiles = Tiles(tmp_path / "tiles")
    record(ledger, session, 300)
    write(session, prover, tiles)
    for table in TABLES:
        session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    forge(session, 20)
    newest = checkpoints.find(session, prover.keys, prover.folder).newest
    assert newest is not None
    with pytest.raises(Conflict, match="another history"):
        tiles.write(session, newest.note, newest.head)
    assert [(fault.position, fault.version) for fault in tiles.faults(session)] == [(20, 1)]


def test_tiles_name_each_forged_entry(session: Session, ledger: Ledger, prover: Prover) -> None:
    record(ledger, session, 700)
    prover.look(session)
    assert prover.tiles is not None
    assert list(prover.tiles.faults(session)) == []
    for table in TABLES:
        session.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER insert_only".encode())
    for position in (5, 256, 257, 699):
        forge(session, position)
    assert [fault.position for fault in prover.tiles.faults(session)] == [5, 256, 257, 699]
    assert all("kept outside of the database" in fault.what for fault in prover.tiles.faults(session))
    (prover.tiles.folder / "tile/0/001").unlink()
    assert [fault.position for fault in prover.tiles.faults(session)] == [5, 256, 257, 699]
    assert "not whole" in list(prover.tiles.faults(session))[2].what
