"""JSON without its ambiguities: no duplicate keys, no NaN, numbers with a fraction as Decimal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from nautilus_site.common.errors import ApplicationError

MAXIMUM_BODY_BYTES = 1024 * 1024
MAXIMUM_DEPTH = 32
MAXIMUM_INTEGER_DIGITS = 40


class StrictJSONParser(BaseParser):
    """Parses one JSON object of at most 1 MiB. Everything doubtful is a 400 with the reason."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        raw = stream.read(MAXIMUM_BODY_BYTES + 1)
        if len(raw) > MAXIMUM_BODY_BYTES:
            raise ApplicationError("BODY_TOO_LARGE", f"the body exceeds {MAXIMUM_BODY_BYTES} bytes")
        return parse_object(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Decode one JSON object strictly.

    Raises
    ------
    ParseError : invalid UTF-8, not JSON, not an object, duplicate keys, NaN or Infinity, NUL characters,
        unpaired surrogates, or nesting deeper than 32.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"the body is not UTF-8: byte {error.start}") from None
    try:
        value = json.loads(
            text,
            parse_float=Decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ParseError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ParseError(f"expected a JSON object, was {_kind(value)}")
    _check_tree(value, 1)
    return value


def _integer(text: str) -> int:
    if len(text) > MAXIMUM_INTEGER_DIGITS:
        raise ParseError(f"an integer has more than {MAXIMUM_INTEGER_DIGITS} digits")
    return int(text)


def _refuse_constant(name: str) -> Any:
    raise ParseError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ParseError(f"the key {twice!r} occurs twice")
    return result


def _check_tree(value: Any, depth: int) -> None:
    if depth > MAXIMUM_DEPTH:
        raise ParseError("nested too deeply")
    if isinstance(value, str):
        if "\x00" in value:
            raise ParseError("text may not contain the NUL character")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError("text may not contain unpaired surrogates")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_tree(key, depth + 1)
            _check_tree(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_tree(item, depth + 1)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")
