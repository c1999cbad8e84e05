"""Finding and reading a mapping: a TOML file, or the name of one that ncen ships.

What is wrong with it is said in sentences that name the file, the table, the key, and what to do; all of it at once, so
that a person need not run the import ten times.
"""

import difflib
import hashlib
import re
import tempfile
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, get_args

from pydantic import BaseModel, ValidationError

from domain import forms
from intake import apart
from intake.mapping import Mapping
from intake.rows import Unreadable, shown
from ledger import given_file

LARGEST_FILE = 4 * 1024 * 1024
LIMITS = apart.Limits(memory_bytes=256 * 1024**2, output_bytes=16 * 1024**2, cpu_s=5, wait_s=30)
MOST_SENTENCES = 20
LONGEST_SENTENCE = 600


class MappingError(Exception):
    """A mapping cannot be used; the message names file, table and key, and says what to do."""


def shipped() -> dict[str, Path]:
    """The mappings that come with ncen, by name."""
    folder = Path(str(resources.files("intake"))) / "mappings"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(mapping: str | Path) -> Mapping:
    """Read a mapping from a file, or one that ncen ships by its name.

    Raises:
        MappingError: there is no such file, it is no TOML, or it does not say what a mapping says.
    """
    path = Path(mapping)
    name = shown_path(mapping)
    try:
        if not path.exists() and str(mapping) in shipped():
            path = shipped()[str(mapping)]
        with tempfile.TemporaryFile() as copy:
            copy.write(text := given_file.start(path, LARGEST_FILE + 1))
            copy.flush()
            if len(text) > LARGEST_FILE:
                raise MappingError(f"{name} is too large for a mapping.")
            told = _document(copy, name)
    except (OSError, ValueError, given_file.Unusable) as error:
        known, reason = ", ".join(shipped()), getattr(error, "strerror", None) or "this is no name of a file"
        if isinstance(error, given_file.Unusable):
            reason = str(error).removeprefix("it cannot be read: ")
        raise MappingError(
            f"The mapping {name} cannot be read ({reason}). It is a TOML file, or one of {known}."
        ) from None
    return read(told, name)


def shown_path(path: str | Path) -> str:
    """A path as messages show it, with nothing in it that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(path))


def _document(file: BinaryIO, name: str) -> dict[str, Any]:
    """What the TOML says, read in a process of its own."""
    with tempfile.TemporaryFile() as kept:
        try:
            apart.run("intake.toml_child", [], file, kept, LIMITS)
        except Unreadable:
            raise MappingError(f"{name} needs more memory or time than a mapping may: simplify it.") from None
        if problem := (apart.next_frame(kept) or b"").decode():
            raise MappingError(f"{name} is not valid TOML: {problem}.")
        told: dict[str, Any] = forms.from_msgpack(apart.next_frame(kept) or b"\x80", dict[str, Any])
    return told


def read(told: dict[str, Any], name: str) -> Mapping:
    """The mapping that a TOML document tells; `name` is how messages call it."""
    try:
        return Mapping.model_validate(told)
    except ValidationError as error:
        found = list(islice(_sentences(error), MOST_SENTENCES + 1))
        sentences = [_short(sentence) for sentence in dict.fromkeys(found[:MOST_SENTENCES])]
        if len(found) > MOST_SENTENCES:
            sentences.append("There is more that does not fit: mend this first.")
        raise MappingError("\n".join(f"{name}: {sentence}" for sentence in sentences)) from None


def digest(mapping: Mapping) -> bytes:
    """32 bytes that stand for everything the mapping says."""
    return hashlib.sha256(mapping.model_dump_json().encode()).digest()


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[:LONGEST_SENTENCE]}…"


def _sentences(error: ValidationError) -> Iterator[str]:
    problems = error.errors(include_url=False, include_input=False)
    for problem in problems:
        place = tuple(step for step in problem["loc"] if not re.search(r"[\[\]-]", str(step)) or isinstance(step, int))
        match problem["type"]:
            case "extra_forbidden":
                yield _unknown((*place[: -1 if place[-1:] == problem["loc"][-1:] else None], problem["loc"][-1]))
            case "too_short" if any(_is_under(other["loc"], problem["loc"]) for other in problems):
                continue  # what is wrong within it is said already
            case "too_short":
                yield f"{_table(place[:-1])} `{place[-1]}`: at least one is needed."
            case "missing":
                yield f"{_table(place[:-1])} needs `{place[-1]}`: {_about(place)}"
            case _:
                what = problem["msg"].removeprefix("Value error, ").removesuffix(".")
                is_key = bool(place) and isinstance(place[-1], str)
                yield f"{_table(place[:-1])} `{place[-1]}`: {what}." if is_key else f"{_table(place)}: {what}."


def _is_under(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _unknown(place: tuple[str | int, ...]) -> str:
    model = _model(place[:-1])
    known = list(model.model_fields) if model else []
    key = shown(str(place[-1]))
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" (is it `{near[0]}`?)" if near else ""
    return f"{_table(place[:-1])} has no key `{key}`{hint}; it knows {', '.join(known)}."


def _table(place: tuple[str | int, ...]) -> str:
    """A place in the file as its header would be written, such as `[goods.quantity]` or `[[check]] number 2`."""
    names = [shown(step) for step in place if isinstance(step, str)]
    number = next((step for step in place if isinstance(step, int)), None)
    if not names:
        return "The mapping"
    return f"[{'.'.join(names)}]" + ("" if number is None else f" (number {number + 1})")


def _about(place: tuple[str | int, ...]) -> str:
    model = _model(place[:-1])
    field = model.model_fields.get(str(place[-1])) if model else None
    about = (field.description if field else None) or "it is missing."
    return about[0].lower() + about[1:]


def _model(place: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The table that stands at a place of the mapping."""
    model: type[BaseModel] | None = Mapping
    for step in place:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step) if model else None
        model = next(models(field.annotation), None) if field else None
    return model


def models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401  # an annotation has no type
    """The tables that an annotation holds, such as `GoodsOf` in `list[GoodsOf]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)
