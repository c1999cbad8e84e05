"""Names as they are matched: by keys that find candidates, and by a score that ranks them and says why.

Spellings of one name differ by script, romanisation, order of parts, particles and slips of the hand. Candidates share
a key: a word, its consonant skeleton, a pair of skeletons, or a skeleton with one letter left out; plain text keys in
a GIN index, so that no extension of the server is needed. A score compares word by word and never decides anything:
it orders what a person then looks at.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

import msgspec
from anyascii import anyascii
from rapidfuzz.distance import JaroWinkler, Levenshtein

from projections.text import APOSTROPHES, LONGEST_WORD, SPACELESS, folded, latin

MOST_WORDS = 12
MISSING = 0.3
"""What it costs when a name lacks words that were asked for; people are often recorded by a part of their name."""
SURPLUS = 0.1
"""What it costs when a name has words that were not asked for."""
SYLLABLES = re.compile("[\uac00-\ud7a3]+")
PARTICLES = frozenset(
    re.findall(
        r"\w+",
        "al el ul bin ibn ben bint abu von van de der den del della di da dos du la le ter zu y e und and the",
    )
)
FORMS = frozenset(
    re.findall(
        r"\w+",
        "ab ag aktiengesellschaft ao as bv co company corp corporation doo ead eood"
        " gmbh inc incorporated jsc"
        " kft kg limited llc llp ltd ltda mbh nv oao ood ooo oy pao plc pte pty pvt sa sarl sas spa spol srl"
        " sro sp tov zao zoo shrkh",
    )
)
"""Forms of companies in Latin letters; those of other scripts read like these when they are transliterated."""
FORMS_WRITTEN_OUT = re.compile(
    "(股份)?有限(责任|責任)?公司|株式会社|有限会社|주식회사|gesellschaft mit beschränkter haftung"
    "|общество с ограниченной ответственностью"  # noqa: RUF001  # Russian
    "|(публичное |закрытое |открытое )?акционерное общество",
    re.IGNORECASE,
)
"""Forms of companies in several words, or without a space before them."""
MERGED = str.maketrans({"b": "p", "d": "t", "v": "f", "g": "k", "q": "k", "c": "k", "z": "s", "j": "s"})
CLUSTERS = (
    ("tsch", "s"),
    ("sch", "s"),
    ("tch", "s"),
    ("dzh", "s"),
    ("zh", "s"),
    ("sh", "s"),
    ("ch", "s"),
    ("ph", "f"),
    ("ck", "k"),
    ("ts", "s"),
    ("tz", "s"),
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "sy"),
)
ARTICLE = re.compile("^ال(?=\\w{3})")
ABJAD = re.compile("[\u0590-\u08ff]")
HEBREW = re.compile("[\u0590-\u05ff]")
SILENT = re.compile("[aeiouywh]")
DOUBLED = re.compile(r"(.)\1+")


class Word(msgspec.Struct, frozen=True):
    """A word of a name: folded in its own script, in Latin letters, and its skeleton."""

    native: str
    latin: str
    bones: str


class Part(msgspec.Struct, frozen=True):
    """Which word asked for met which word of the name, and how well (0 to 100)."""

    asked: str
    found: str
    score: float


class Match(msgspec.Struct, frozen=True):
    """How well a name fits what was asked (0 to 100), and word by word why."""

    score: float
    parts: tuple[Part, ...]


def words(name: str) -> tuple[Word, ...]:
    """The words of a name; a name without spaces (Chinese, Japanese, Korean) is family name and the rest."""
    found: list[Word] = []
    plain = APOSTROPHES.sub("", unicodedata.normalize("NFKC", name))
    for written in (FORMS_WRITTEN_OUT.sub(" ", plain).strip() or plain).split():
        for native in folded(written).split():
            if native.isascii():
                found.append(_word(native, native))
            elif SPACELESS.fullmatch(native) or SYLLABLES.fullmatch(native):
                halves = (native[:1], native[1:]) if 2 <= len(native) <= 3 else (native,)
                found.extend(_word(half, _joined(half)) for half in halves)
            else:
                bare = ARTICLE.sub("", native)
                found.append(_word(bare, _joined(bare)))
    return tuple(found[:MOST_WORDS])


def _word(native: str, latin_form: str) -> Word:
    return Word(native, latin_form, skeleton(latin_form))


def _joined(native: str) -> str:
    return "".join(folded(anyascii(character)) for character in native)[:LONGEST_WORD].replace(" ", "") or native


def telling(parts: Iterable[Word]) -> tuple[Word, ...]:
    """The words that tell one name from another: without particles and company forms, unless nothing else is left."""
    every = tuple(parts)
    kept = tuple(word for word in every if word.latin not in PARTICLES and word.latin not in FORMS)
    return kept or every


def skeleton(word: str) -> str:
    """The consonants of a Latin word in classes that romanisations confuse: `mohammed` and `mhmd` are both `mmt`."""
    if word.startswith("x"):
        word = "s" + word[1:]
    word = word.replace("x", "ks")
    for cluster, sound in CLUSTERS:
        if cluster in word:
            word = word.replace(cluster, sound)
    return DOUBLED.sub(r"\1", SILENT.sub("", word.translate(MERGED)))


def keys(name: str) -> list[str]:
    """All keys under which a name is found."""
    every = words(name)
    told = telling(every)
    found: set[str] = set(pairs(told))
    for word in told:
        found.update(word_keys(word))
    for one, other in pairwise(every):
        found.add(f"~{skeleton(one.latin + other.latin)}")
    return sorted(found)


def word_keys(word: Word) -> list[str]:
    """The keys of one word: as it stands, its skeleton, and both with a letter left out, for slips of the hand."""
    bones = word.bones
    found = {f"={word.native}", f"={word.latin}", *(f"-{shorter}" for shorter in _shortened(word.latin, bones))}
    if len(bones) > 1:
        found.update({f"~{bones}", f"~{bones.replace('r', 'l')}"})  # not told apart in Chinese, Japanese and Korean
    if HEBREW.search(word.native):
        found.add(f"~{bones.replace('f', '')}")  # vav is a consonant or a vowel
    return sorted(found)


def pairs(told: Iterable[Word]) -> list[str]:
    """The most selective keys of a name: its pairs of skeletons, and its neighbouring words run together."""
    every = tuple(told)
    found = {_pair(one.bones, other.bones) for one, other in combinations(every, 2)}
    found.update(f"~{bones}" for one, other in pairwise(every) if len(bones := skeleton(one.latin + other.latin)) > 3)
    return sorted(found)


def _pair(one: str, other: str) -> str:
    return f"+{min(one, other)} {max(one, other)}"


def _shortened(word: str, bones: str) -> set[str]:
    """A word with one letter left out: two words a slip apart share one. Short skeletons tell too little for this."""
    found: set[str] = set()
    if len(bones) >= 4:
        found.update({bones, *(bones[:at] + bones[at + 1 :] for at in range(len(bones)))})
    if len(bones) <= 4 and len(word) >= 3:
        found.update({f"{word}.", *(f"{word[:at]}{word[at + 1 :]}." for at in range(len(word)))})
    return found


def match(asked: tuple[Word, ...], name: tuple[Word, ...]) -> Match:
    """How well a name fits what was asked, word by word; each word of the name is used once."""
    wanted, offered = telling(asked), telling(name)
    if not wanted or not offered:
        return Match(0.0, ())
    grades = sorted(
        ((_likeness(word, other), at, on) for at, word in enumerate(wanted) for on, other in enumerate(offered)),
        key=lambda grade: -grade[0],
    )
    met: dict[int, tuple[int, float]] = {}
    for likeness, at, on in grades:
        if at not in met and all(on != used for used, _ in met.values()):
            met[at] = (on, likeness)
    parts = tuple(Part(wanted[at].native, offered[met[at][0]].native, round(100 * met[at][1], 1)) for at in sorted(met))
    paired = {at: len(wanted[at].latin) + len(offered[on].latin) for at, (on, _) in met.items()}
    aligned = 100 * sum(paired[at] * likeness for at, (_, likeness) in met.items()) / sum(paired.values())
    aligned *= 1 - MISSING * _share(wanted, set(met)) - SURPLUS * _share(offered, {on for on, _ in met.values()})
    run, other_run = _run(wanted), _run(offered)
    together = Levenshtein.normalized_similarity(run, other_run)
    if together < 0.9 and len(bones := skeleton(run)) > 3 and bones == skeleton(other_run):
        together = 0.9
    together = min(together, 0.98)  # words that merely read alike are not the same word
    return Match(round(max(aligned, 100 * together), 1), parts)


def _share(every: Sequence[Word], used: set[int]) -> float:
    """How much of a name has no counterpart in the other."""
    left = sum(len(word.latin) for at, word in enumerate(every) if at not in used)
    return left / sum(len(word.latin) for word in every)


def _run(every: Iterable[Word]) -> str:
    return "".join(word.latin for word in every)


def _likeness(one: Word, other: Word) -> float:
    if one.native == other.native:
        return 1.0
    if one.latin == other.latin:
        return 0.99
    likeness = max(
        Levenshtein.normalized_similarity(one.latin, other.latin), JaroWinkler.similarity(one.latin, other.latin) * 0.95
    )
    bones, others = one.bones, other.bones
    if bones == others and len(bones) > 1:
        return max(likeness, 0.92)
    if ABJAD.search(one.native + other.native):  # written without its vowels: only the consonants can be compared
        likeness = max(likeness, 0.88 * Levenshtein.normalized_similarity(bones, others))
    return likeness


def latin_name(name: str) -> str:
    """A name in Latin letters, as it is shown beside its native spelling."""
    return " ".join(word.latin for word in words(name)) or latin(name)
