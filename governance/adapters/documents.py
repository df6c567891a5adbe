"""JSON and YAML files: read with the place of every value, written so that reading gives the same again."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import yaml

from governance.adapters.text_places import TextPlaces
from governance.domain.policies.located import DocumentError, Member, Node, Problem
from governance.domain.policies.schema import canonical

LARGEST = 256 * 1024
DEEPEST = 20
MOST_VALUES = 20_000
"""Names and values of one file: ten times what the largest policy needs, and read in less than a second or two."""
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*")
_WORDS: tuple[tuple[str, bool | None], ...] = (("true", True), ("false", False), ("null", None))
_YAML_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_YAML_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_YAML_DOUBTFUL = _YAML_NUMBERS | {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"}


def read_document(text: str, *, suffix: str) -> Node:
    """Read `.json`, `.yaml` or `.yml`.

    Raises
    ------
    DocumentError : it cannot be read; with line and column.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line, column = text.count("\n", 0, error.start) + 1, error.start - text.rfind("\n", 0, error.start)
        raise DocumentError([Problem("half a character is no text", "", line, column)]) from None
    if size > LARGEST:
        raise DocumentError([Problem(f"expected at most {LARGEST} bytes")])
    if suffix == ".json":
        return _Json(text).document()
    if suffix in (".yaml", ".yml"):
        return _Yaml(text).document()
    raise DocumentError([Problem(f"expected a name that ends in .json, .yaml or .yml, was {suffix!r}")])


def write_document(values: Any, *, suffix: str) -> str:
    """Write values; decimals as numbers, in their own digits."""
    if suffix == ".json":
        return _json_text(values, 0) + "\n"
    dumped: str = yaml.dump(
        _plain(values),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=110,
        default_flow_style=False,
    )
    return dumped


class _Json:
    """A reader of RFC 8259 that remembers places and refuses a name given twice."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ends = [found.start() for found in re.finditer("\n", text)]
        self.values = 0

    def fail(self, at: int, message: str) -> DocumentError:
        return DocumentError([Problem(message, "", *self.place(at))])

    def place(self, at: int) -> tuple[int, int]:
        line = bisect_left(self.ends, at)
        return line + 1, at - (self.ends[line - 1] if line else -1)

    def skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def document(self) -> Node:
        node, at = self.value(self.skip(0), 0)
        at = self.skip(at)
        if at != len(self.text):
            raise self.fail(at, "expected the end of the document")
        return node

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > DEEPEST:
            raise self.fail(at, f"nested deeper than {DEEPEST}")
        self.values += 1
        if self.values > MOST_VALUES:
            raise self.fail(at, f"expected at most {MOST_VALUES} values")
        start = self.text[at : at + 1]
        place = self.place(at)
        if start == "{":
            return self.members(at, place, depth)
        if start == "[":
            return self.items(at, place, depth)
        if start == '"':
            text, end = self.string(at)
            return Node(text, *place, TextPlaces(text, self.text[at:end], *place)), end
        for word, value in _WORDS:
            if self.text.startswith(word, at):
                return Node(value, *place), at + len(word)
        if (found := _NUMBER.match(self.text, at)) and found[0]:
            return Node(Decimal(found[0]), *place), found.end()
        raise self.fail(at, "expected a value")

    def string(self, at: int) -> tuple[str, int]:
        try:
            value, end = json.JSONDecoder().raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self.fail(error.pos, error.msg.lower()) from None
        assert isinstance(value, str)
        return value, end

    def items(self, at: int, place: tuple[int, int], depth: int) -> tuple[Node, int]:
        found: list[Node] = []
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "]":
            if found:
                at = self.expect(at, ",")
            node, at = self.value(at, depth + 1)
            found.append(node)
            at = self.skip(at)
        return Node(tuple(found), *place), at + 1

    def members(self, at: int, place: tuple[int, int], depth: int) -> tuple[Node, int]:
        found: dict[str, Member] = {}
        at = self.skip(at + 1)
        while self.text[at : at + 1] != "}":
            if found:
                at = self.expect(at, ",")
            if self.text[at : at + 1] != '"':
                raise self.fail(at, "expected a name in double quotes")
            named = self.place(at)
            name, end = self.string(at)
            if name in found:
                raise self.fail(at, f"{name!r} is given twice")
            node, at = self.value(self.expect(self.skip(end), ":"), depth + 1)
            found[name] = Member(node, *named)
            at = self.skip(at)
        return Node(found, *place), at + 1

    def expect(self, at: int, mark: str) -> int:
        if self.text[at : at + 1] != mark:
            raise self.fail(at, f"expected {mark!r}")
        return self.skip(at + 1)


class _Yaml:
    """A reader of YAML without tags, anchors, and what readers of YAML do not agree about."""

    def __init__(self, text: str) -> None:
        self.text = text

    def document(self) -> Node:
        return self.node(_yaml_composed(self.text), 0)

    def node(self, node: yaml.Node, depth: int) -> Node:
        place = node.start_mark.line + 1, node.start_mark.column + 1
        if depth > DEEPEST:
            raise _yaml_problem(node.start_mark, f"nested deeper than {DEEPEST}")
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.node(item, depth + 1) for item in node.value), *place)
        if isinstance(node, yaml.MappingNode):
            return self.members(node, place, depth)
        return self.scalar(node, place)

    def members(self, node: yaml.MappingNode, place: tuple[int, int], depth: int) -> Node:
        found: dict[str, Member] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _yaml_problem(key.start_mark, "expected a name")
            if key.value in found:
                raise _yaml_problem(key.start_mark, f"{key.value!r} is given twice")
            named = key.start_mark.line + 1, key.start_mark.column + 1
            found[key.value] = Member(self.node(value, depth + 1), *named)
        return Node(found, *place)

    def scalar(self, node: yaml.Node, place: tuple[int, int]) -> Node:
        text = str(node.value)
        if node.tag == "tag:yaml.org,2002:null" and text in ("", "~", "null", "Null", "NULL"):
            return Node(None, *place)
        if node.tag == "tag:yaml.org,2002:bool" and text.lower() in ("true", "false"):
            return Node(text.lower() == "true", *place)
        if node.tag in _YAML_NUMBERS and _YAML_NUMBER.fullmatch(text):
            return Node(Decimal(text), *place)
        if node.tag in _YAML_DOUBTFUL:
            # `010` is ten to one reader and eight to the next, `no` is false or a name.
            raise _yaml_problem(
                node.start_mark,
                f"{text[:40]!r} means different things to different readers: write a number in plain digits, true, "
                "false or null, or put a text in quotes",
            )
        raw = self.text[node.start_mark.index : node.end_mark.index]
        return Node(text, *place, TextPlaces(text, raw, *place))


def _yaml_composed(text: str) -> yaml.Node:
    try:
        # Composed, never constructed: tags can name nothing.
        # What is too deep or too much ends the reading at once, long before the end of the file.
        depth = values = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _yaml_problem(event.start_mark, "anchors and aliases are not used here")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            values += isinstance(event, yaml.NodeEvent)
            if depth > DEEPEST + 1:
                raise _yaml_problem(event.start_mark, f"nested deeper than {DEEPEST}")
            if values > MOST_VALUES:
                raise _yaml_problem(event.start_mark, f"expected at most {MOST_VALUES} names and values")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _yaml_problem(mark, error.problem or "this is not YAML") from None
    except yaml.reader.ReaderError as error:
        at = int(error.position)
        place = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise DocumentError([Problem("expected a text without control characters", "", *place)]) from None
    except yaml.YAMLError as error:
        raise DocumentError([Problem(f"this is not YAML: {error}"[:200])]) from None
    except RecursionError:
        raise DocumentError([Problem(f"nested deeper than {DEEPEST}")]) from None
    if root is None:
        raise DocumentError([Problem("the document is empty", "", 1, 1)])
    return root


def _yaml_problem(mark: Any, message: str) -> DocumentError:
    place = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    return DocumentError([Problem(message, "", *place)])


def _json_text(value: Any, depth: int) -> str:
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        rows = [
            f"{inner}{json.dumps(str(key))}: {_json_text(item, depth + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(rows) + f"\n{outer}}}"
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        if all(isinstance(item, str) for item in value):
            return "[" + ", ".join(json.dumps(item) for item in value) + "]"
        return "[\n" + ",\n".join(inner + _json_text(item, depth + 1) for item in value) + f"\n{outer}]"
    if isinstance(value, Decimal):
        return str(canonical(value))
    if isinstance(value, datetime):
        return json.dumps(canonical(value))
    return json.dumps(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return canonical(value) if isinstance(value, datetime) else value


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = str(canonical(value))
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)


_Dumper.add_representer(Decimal, _represent_decimal)
