"""How a command is asked for: from flags or from a JSON file, checked against its own type.

Both ways end in the same check, so that a flag and a file are refused for the same thing. A refusal names the part that
does not fit and says what belongs there; it never repeats what was typed, which may be personal.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from cyclopts import Parameter
from msgspec import inspect

from cli.output import BadInput, Misused
from domain import forms
from ledger import given_file

File = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""The name of a file, or `-` for standard input."""

Asked = TypeVar("Asked", bound=msgspec.Struct)

# What a code looks like, by the beginning of its description: a pattern says nothing to a person.
EXAMPLES = {
    "ISO 3166-1": "CO",
    "ISO 3166-2": "CO-DC",
    "UN/LOCODE": "COBOG",
    "customs office": "COBOG1",
    "UN/ECE Recommendation 20": "KGM",
    "ISO 4217": "EUR",
    "a node of the network": "XA or DE-NORTH",
    "name of a code list": "SUBSTANCE",
    "edition of a code list": "2022 or 2024-05",
    "a value of a code list": "cocaine",
    "2 to 10 digits": "240220",
    "code of a legal instrument": "TREATY:XA-XB:2024",
    "code of a statute": "FR:CUSTOMS-CODE:60",
    "staff identifier": "officer-01",
}
LARGEST_FILE = 4 * 1024 * 1024
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>[0-9]+)\]|\[(?P<any>\.\.\.)\]")


def from_flags(told: Mapping[str, object], kind: type[Asked], flags: Mapping[str, str] | None = None) -> Asked:
    """The command (or part of one) that these plain values tell; `flags` names the flag of a field where it differs.

    Raises:
        Misused: a value does not have the form its field asks for.
    """
    try:
        return forms.convert(dict(told), kind)
    except msgspec.ValidationError as error:
        raise Misused(sentence(str(error), kind, flags or {})) from None


def from_file(name: str, kind: type[Asked]) -> Asked:
    """The command in a JSON file, or on standard input where the name is `-`.

    Raises:
        BadInput: the file cannot be read, is no JSON, or is not such a command.
    """
    where = "standard input" if name == "-" else name
    text = _read(name, where)
    try:
        return forms.from_json(text, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"In {where}: {sentence(str(error), kind, {})}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is not JSON: {_place_only(str(error))}.") from None


def _read(name: str, where: str) -> bytes:
    if name.startswith("--"):
        raise Misused(f"A file belongs before {name}.")
    try:
        return given_file.read(name, LARGEST_FILE)
    except given_file.Unusable as error:
        hint = "; use `ncen import` for many records" if "larger" in str(error) else ""
        raise BadInput(f"{where}: {error}{hint}.") from None


def _place_only(message: str) -> str:
    """Where a JSON text breaks; the parser's messages name bytes and positions, never values."""
    return message.rstrip(".")


def sentence(message: str, kind: type[msgspec.Struct], flags: Mapping[str, str]) -> str:
    """What msgspec found, as a sentence: which part, and what belongs there."""
    found = _PATH.search(message)
    steps = tuple(_steps(found["path"])) if found else ()
    problem = message[: found.start()] if found else message
    expected = _walk(inspect.type_info(kind), steps)
    part = _named(steps, flags)
    if missing := re.match(r"Object missing required field `([^`]+)`", problem):
        lacking = _named((*steps, missing[1]), flags)
        return f"{lacking} is missing: {_wanted(_walk(expected, (missing[1],)))}."
    if unknown := re.match(r"Object contains unknown field `([^`]+)`", problem):
        name = unknown[1] if _NAME.fullmatch(unknown[1]) else "what stands there"
        return f"{_joined(part, name)} is not a known part: known are {', '.join(_fields(expected))}."
    if steps == ("command",):
        return f"This is another command: expected is `{kind.__struct_config__.tag}`."
    return f"{part or 'The whole'} does not fit: {_wanted(expected)}."


def _steps(path: str) -> Iterator[str | int]:
    for step in _STEP.finditer(path):
        if step["field"] is not None:
            yield step["field"]
        elif step["index"] is not None:
            yield int(step["index"])


def _named(steps: tuple[str | int, ...], flags: Mapping[str, str]) -> str:
    names = [f"{step + 1}" if isinstance(step, int) else flags.get(step, step) for step in steps]
    text = ""
    for step, name in zip(steps, names, strict=True):
        text += f" {name}" if isinstance(step, int) else f", {name}" if text else name
    return text


def _joined(part: str, name: str) -> str:
    return f"{part}, {name}" if part else name


def _walk(info: Any, steps: tuple[str | int, ...]) -> Any:  # noqa: ANN401  # msgspec's type descriptions share no useful type
    for step in steps:
        info = _into(info, step)
    return info


def _into(info: Any, step: str | int) -> Any:  # noqa: ANN401  # as above
    match info:
        case inspect.Metadata():
            return _into(info.type, step)
        case inspect.UnionType():
            inner = (_into(one, step) for one in info.types)
            return next((one for one in inner if one is not None), None)
        case inspect.StructType() if isinstance(step, str):
            return next((field.type for field in info.fields if step in {field.name, field.encode_name}), None)
        case inspect.VarTupleType() | inspect.ListType() if isinstance(step, int):
            return info.item_type
    return None


def _example(description: str) -> str:
    example = next((code for words, code in EXAMPLES.items() if description.startswith(words)), None)
    return f", such as {example}" if example else ""


def _fields(info: Any) -> list[str]:  # noqa: ANN401  # as above
    match info:
        case inspect.Metadata():
            return _fields(info.type)
        case inspect.UnionType():
            return [field for one in info.types for field in _fields(one)]
        case inspect.StructType():
            return [field.encode_name for field in info.fields]
    return []


def _wanted(info: Any) -> str:  # noqa: ANN401, C901, PLR0911, PLR0912  # as above; one arm for each kind of value
    match info:
        case inspect.Metadata(extra_json_schema={"description": description}):
            return f"expected is {description}{_example(description)}"
        case inspect.Metadata():
            return _wanted(info.type)
        case inspect.UnionType():
            inner = [one for one in info.types if not isinstance(one, inspect.NoneType)]
            return " or ".join(dict.fromkeys(_wanted(one) for one in inner))
        case inspect.EnumType():
            return f"expected is one of {', '.join(str(member.value) for member in info.cls)}"
        case inspect.DateType():
            return "expected is a day such as 2024-05-31"
        case inspect.DateTimeType():
            return "expected is a time such as 2024-05-31T12:00:00Z"
        case inspect.UUIDType():
            return "expected is an id such as 0192f3a0-7c1b-7000-8000-000000000001"
        case inspect.DecimalType():
            return "expected is a number"
        case inspect.BoolType():
            return "expected is true or false"
        case inspect.IntType():
            return "expected is a whole number"
        case inspect.StrType():
            return "expected is text" + (f" of at most {info.max_length} characters" if info.max_length else "")
        case inspect.StructType():
            return f"expected are the parts {', '.join(field.encode_name for field in info.fields)}"
        case inspect.VarTupleType() | inspect.ListType():
            return f"expected is a list, and of each entry {_wanted(info.item_type)}"
    return "something else belongs there"


def is_asked_whole(json_file: str | None, flags: Mapping[str, object]) -> bool:
    """Whether the command comes whole, in a file; refuse a file together with flags that would tell parts of it."""
    if json_file is None:
        return False
    if told := [flag for flag, value in flags.items() if value not in (None, (), [])]:
        raise Misused(f"--json-file holds the whole command: leave out {', '.join(told)}.")
    return True


def require(flags: Mapping[str, object]) -> None:
    """Refuse when flags that are needed (unless a file holds the command) were left out."""
    if missing := [flag for flag, value in flags.items() if value in (None, (), [])]:
        raise Misused(f"Missing: {', '.join(missing)} (or give the whole command with --json-file).")


def given(**fields: object) -> dict[str, object]:
    """The fields that were given, as plain values; what was left out is left out."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def words(text: str | None, file: str | None, *, take_back: bool) -> str | None:
    """Words typed by hand: from the line, from a file or standard input (`-`), or none at all, to take them back.

    Raises:
        Misused: not exactly one of the three was told.
        BadInput: the file cannot be read.
    """
    if (text is not None) + (file is not None) + take_back != 1:
        raise Misused("Give the words on the line, or with --file, or --take-back to take back what was written.")
    if file is None:
        return text
    where = "standard input" if file == "-" else file
    try:
        return _read(file, where).decode().strip()
    except UnicodeDecodeError:
        raise BadInput(f"{where} is not text in UTF-8.") from None
