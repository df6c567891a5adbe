"""Strategy parameters: frozen dataclasses whose fields carry bounds, unit and help.

Forms, API schemas and documentation are generated from them; so is validation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")
P = TypeVar("P")

_JSON_TYPES: dict[type, str] = {int: "integer", float: "number", bool: "boolean", str: "string"}
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class ParameterError(ValueError):
    """A parameter is wrong; `field` names it, or is empty where several fields contradict each other."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def parameter(
    default: T,
    *,
    ge: float | None = None,
    le: float | None = None,
    unit: str = "",
    help: str = "",  # noqa: A002  the word strategy files use
) -> T:
    """Declare one parameter of a frozen dataclass, with inclusive bounds, unit and help text.

    Raises
    ------
    ValueError : the default itself is outside the bounds.
    """
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if (ge is not None and default < ge) or (le is not None and default > le):
            raise ValueError(f"default {default} is outside {ge} to {le}")
    elif ge is not None or le is not None:
        raise ValueError("only numbers have bounds")
    # A dataclass field stands where the annotation promises its value; `dataclass` swaps them.
    metadata = {"ge": ge, "le": le, "unit": unit, "help": help}
    return dataclasses.field(default=default, metadata=metadata)


def parameter_schema(params: type) -> dict[str, Any]:
    """Return the JSON schema of a parameter dataclass: an object without further properties.

    Raises
    ------
    TypeError : not a dataclass, or a field of a type no form can show.
    """
    properties: dict[str, Any] = {}
    for field, kind in _fields(params):
        entry: dict[str, Any] = {"type": _JSON_TYPES[kind], "title": field.name.replace("_", " ")}
        if field.default is not dataclasses.MISSING:
            entry["default"] = field.default
        for bound, key in (("ge", "minimum"), ("le", "maximum")):
            if field.metadata.get(bound) is not None:
                entry[key] = field.metadata[bound]
        if field.metadata.get("help"):
            entry["description"] = field.metadata["help"]
        if field.metadata.get("unit"):
            entry["unit"] = field.metadata["unit"]
        properties[field.name] = entry
    return {"type": "object", "properties": properties, "additionalProperties": False}


def parse_params(params: type[P], values: Mapping[str, Any]) -> P:
    """Build parameters from a mapping of values or their text, defaults filled in.

    Raises
    ------
    ParameterError : an unknown name, a wrong type, a value outside its bounds, or fields that
        contradict each other (whatever the class's own `__post_init__` refuses).
    """
    fields = {field.name: (field, kind) for field, kind in _fields(params)}
    for name in values:
        if name not in fields:
            raise ParameterError(str(name), f"unknown parameter; expected one of {', '.join(fields)}")
    parsed: dict[str, Any] = {}
    for name, (field, kind) in fields.items():
        if name in values:
            parsed[name] = _bounded(field, _typed(name, kind, values[name]))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ParameterError(name, "missing")
    try:
        return params(**parsed)
    except ParameterError:
        raise
    except ValueError as error:
        raise ParameterError("", str(error)) from error


def _fields(params: type) -> list[tuple[dataclasses.Field[Any], type]]:
    if not dataclasses.is_dataclass(params):
        raise TypeError(f"expected a dataclass of parameters, was {params!r}")
    hints = get_type_hints(params)
    fields = []
    for field in dataclasses.fields(params):
        kind = hints[field.name]
        if kind not in _JSON_TYPES:
            raise TypeError(f"{params.__name__}.{field.name}: expected int, float, bool or str, was {kind}")
        fields.append((field, kind))
    return fields


def _typed(name: str, kind: type, value: Any) -> Any:
    # Text is accepted because command lines and forms have nothing else; bool is an int in Python but
    # never a number here.
    if kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
            return value.strip().lower() in _TRUE
        raise ParameterError(name, f"expected true or false, was {value!r}")
    if kind is str:
        if isinstance(value, str):
            return value
        raise ParameterError(name, f"expected text, was {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ParameterError(name, f"expected a number, was {value!r}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ParameterError(name, f"expected a number, was {value!r}") from None
    if not math.isfinite(number):
        raise ParameterError(name, f"expected a finite number, was {value!r}")
    if kind is float:
        return number
    if not number.is_integer():
        raise ParameterError(name, f"expected a whole number, was {value!r}")
    return int(number)


def _bounded(field: dataclasses.Field[Any], value: Any) -> Any:
    ge, le = field.metadata.get("ge"), field.metadata.get("le")
    unit = f" {field.metadata['unit']}" if field.metadata.get("unit") else ""
    if ge is not None and value < ge:
        raise ParameterError(field.name, f"expected at least {ge}{unit}, was {value}")
    if le is not None and value > le:
        raise ParameterError(field.name, f"expected at most {le}{unit}, was {value}")
    return value
