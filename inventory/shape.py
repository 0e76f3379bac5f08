"""Say in words what the schema refuses: pydantic's errors as findings, with what is allowed.

Also answers which field of the schema a path means, for the messages and the reference manual.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from inventory.errors import Finding, Path
from inventory.fields import Allowed
from inventory.schema import Inventory
from inventory.suggest import did_you_mean

_TEXT_ERRORS = {"string_pattern_mismatch", "string_too_long", "string_too_short"}
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "recursion_loop": "a value that does not contain itself",
}
_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}


def findings(error: ValidationError, root: type[BaseModel] = Inventory) -> list[Finding]:
    """One finding for each error, in the order of the schema `root`."""
    return [_finding(detail, root) for detail in error.errors(include_url=False)]


def _finding(detail: Any, root: type[BaseModel]) -> Finding:
    path = _without_tags(detail["loc"])
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        wanted = allowed(path, root)
        return Finding(path, None, f"is required: {wanted}" if wanted else "is required")
    if kind == "extra_forbidden":
        return Finding(path, None, _unknown_field(path, root))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        given = value.get("kind") if isinstance(value, dict) else None
        hint = did_you_mean(given, ("socks5", "address"))
        return Finding((*path, "kind"), given, f"must be socks5 or address{hint}")
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(field_at(path, root))]
        hint = did_you_mean(value, choices)
        return Finding(path, value, f"must be {_one_of(choices)}{hint}")
    words = (
        allowed(path, root) if kind in _TEXT_ERRORS | _RANGES or kind.startswith("ip_v4") else ""
    )
    words = words or _TYPES.get(kind, "")
    if kind == "string_type" and isinstance(value, (int, float)):
        words += "; write it in quotes"
    if words:
        return Finding(path, value, f"must be {words}")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Finding(path, value, message[:1].lower() + message[1:])


def _one_of(choices: list[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def _without_tags(location: tuple[str | int, ...]) -> Path:
    """Without the name of the chosen kind, which pydantic writes behind `exit`."""
    return tuple(
        step
        for number, step in enumerate(location)
        if not (number and location[number - 1] == "exit" and step in ("socks5", "address"))
    )


def _unknown_field(path: Path, root: type[BaseModel]) -> str:
    models = _models_at(path[:-1], root)
    fields = sorted({name for model in models for name in model.model_fields})
    hint = did_you_mean(path[-1], fields)
    return f"unknown field{hint or '; allowed here: ' + ', '.join(fields)}"


def allowed(path: Path, root: type[BaseModel] = Inventory) -> str:
    """What may stand at the path, in words; empty where the schema does not say."""
    info = field_at(path, root)
    return describe(info) if info else ""


def describe(info: FieldInfo) -> str:
    """What a field takes, in words."""
    low = high = None
    for entry in _metadata(info):
        if isinstance(entry, Allowed):
            return entry.text
        low = getattr(entry, "ge", low)
        high = getattr(entry, "le", high)
    choices = _choices(info)
    if choices:
        return _one_of([str(choice) for choice in choices])
    plain = {int: "a whole number", float: "a number", str: "text"}
    kind = next((plain[arm] for arm in _arms(info.annotation) if arm in plain), "")
    if low is not None and high is not None:
        return f"{kind} from {low:,} to {high:,}"
    return f"{kind} of at least {low:,}" if low is not None else kind


def field_at(path: Path, root: type[BaseModel] = Inventory) -> FieldInfo | None:
    """The field that the path names, or of whose list it names an item."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return None
    for model in _models_at(tuple(names[:-1]), root):
        if names[-1] in model.model_fields:
            return model.model_fields[names[-1]]
    return None


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models a field's type is made of, through lists and alternatives."""
    for arm in _arms(annotation):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            yield arm


def _models_at(path: Path, root: type[BaseModel]) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = [root]
    for step in path:
        if isinstance(step, int):
            continue
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        models = [found for info in fields for found in models_in(info.annotation)]
    return models


def _arms(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif origin in (tuple, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _arms(argument)
    else:
        yield annotation


def _metadata(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    yield from _nested_metadata(info.annotation)


def _nested_metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    for argument in get_args(annotation):
        if argument is not annotation:
            yield from _nested_metadata(argument)


def _choices(info: FieldInfo | None) -> tuple[Any, ...]:
    annotation = info.annotation if info else None
    return get_args(annotation) if get_origin(annotation) is Literal else ()
