"""Names that are one share a key and score high; names that are not score low; nothing that people type breaks it."""

import csv
import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.names import keys, match, skeleton, telling, words

DATA = Path(__file__).parents[3] / "shared" / "data" / "names"


def score(one: str, other: str) -> float:
    return match(words(one), words(other)).score


def test_romanisations_of_one_name_share_their_skeleton() -> None:
    for spellings in (
        ("mohammed", "muhammad", "mohamed", "mhmd"),
        ("gaddafi", "qadhafi", "kadafi"),
        ("schmidt", "shmit"),
        ("philip", "filip"),
    ):
        assert len({skeleton(spelling) for spelling in spellings}) == 1, spellings


def test_particles_and_company_forms_do_not_tell() -> None:
    assert [word.latin for word in telling(words("Abu Bakr al-Hassan"))] == ["bakr", "hassan"]
    assert [word.latin for word in telling(words("Eastern Trading Co. Ltd"))] == ["eastern", "trading"]
    assert [word.latin for word in telling(words("Al"))] == ["al"], "unless nothing else is left"


def test_names_in_other_order_and_other_script_score_as_one() -> None:
    for one, other in (
        ("Hassan Mohammed Ali", "Mohammed Ali Hassan"),
        ("Иван Петров", "Petrov Ivan"),
        ("Xi Jinping", "习近平"),
        ("Mohammed Ali", "محمد علي"),
    ):
        assert score(one, other) > 85, (one, other)
    for one, other in (("Ivan Petrov", "Olga Sidorova"), ("Xi Jinping", "Kim Jong Un"), ("John Smith", "Maria Silva")):
        assert score(one, other) < 60, (one, other)


def test_a_slip_of_the_hand_leaves_a_shared_key() -> None:
    draw = random.Random(7)
    lost = []
    for name in ("Mohammed", "Gonzalez", "Kuznetsov", "Andrzej", "Ferreira", "Nakamura"):
        for _ in range(20):
            at = draw.randrange(len(name))
            kind = draw.choice(["drop", "double", "swap", "other"])
            slip = {
                "drop": name[:at] + name[at + 1 :],
                "double": name[: at + 1] + name[at:],
                "swap": name[:at] + name[at : at + 2][::-1] + name[at + 2 :],
                "other": name[:at] + draw.choice("abcdefghijklmnopqrstuvwxyz") + name[at + 1 :],
            }[kind]
            if not set(keys(name)) & set(keys(slip)):
                lost.append((name, slip))
    assert len(lost) <= 120 * 0.04, lost


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_typed_has_keys_and_a_score(one: str, other: str) -> None:
    assert isinstance(keys(one), list)
    assert 0 <= score(one, other) <= 100


@pytest.mark.parametrize(
    ("script", "least"), [("arabic", 0.78), ("russian", 0.84), ("hebrew", 0.64), ("korean", 0.48), ("chinese", 0.42)]
)
def test_real_transliterations_share_a_key(script: str, least: float) -> None:
    """One word by itself, foreign names in all scripts; a name of two or three words has as many chances."""
    path = DATA / "transliteration" / f"wd_{script}.tsv.gz"
    if not path.exists():
        pytest.skip("the shared name lists are not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        pairs = [line.split("\t")[:2] for line in lines]
    pairs = random.Random(7).sample(pairs, 800)
    found = [bool(set(keys(name)) & set(keys(spelled.replace(" ", "")))) for name, spelled in pairs]
    assert sum(found) / len(found) >= least


def test_labelled_pairs_score_higher_when_they_are_one() -> None:
    path = DATA / "name_bench_cases.csv"
    if not path.exists():
        pytest.skip("the shared name lists are not here")
    with path.open(encoding="utf-8") as file:
        cases = [row for row in csv.DictReader(file) if row["schema"] in {"Person", "Company"}]
    scored = [(score(row["name1"], row["name2"]), row["is_match"] == "true") for row in cases]
    ones = [points for points, is_one in scored if is_one]
    others = [points for points, is_one in scored if not is_one]
    higher = sum(one > other for one in ones for other in others) / (len(ones) * len(others))
    assert higher >= 0.86, higher
