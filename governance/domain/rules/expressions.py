"""Conditions: a small language read with Python's own grammar and evaluated by nothing but this package.

Numbers, texts in quotes, `true` and `false`, names of facts, `and or not`, comparisons (chained as in mathematics),
`+ - * /`, `in (...)`, and the functions `abs`, `min`, `max`. Nothing else parses: no attributes, no indices, no other
calls. Every part has a kind (number, text, flag) that is checked here, against the vocabulary.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from governance.domain.rules.vocabulary import Fact, Kind

LONGEST = 500
DEEPEST = 24
LARGEST = Decimal(10) ** 18
FUNCTIONS = frozenset({"abs", "min", "max"})
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_CONSTANTS = {"true": True, "false": False, "True": True, "False": False}

Value = Decimal | str | bool


class RuleSyntaxError(ValueError):
    """A condition that cannot be read; `column` is where, counted from 1."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.column = message, column


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class Negative:
    part: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more flags."""

    operator: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """`a < b <= c`: `parts` has one more member than `operators`."""

    operators: tuple[str, ...]
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Among:
    """`a in (b, c)`, negated for `not in`."""

    part: Node
    choices: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    parts: tuple[Node, ...]


Node = Literal | Name | Not | Negative | Logic | Compare | Among | Arithmetic | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that was read and checked.

    Attributes
    ----------
    kinds : the facts it uses and what each is.
    """

    text: str
    root: Node
    kinds: Mapping[str, Kind]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.kinds)


def parse_condition(text: str, facts: Mapping[str, Fact]) -> Expression:
    """Read a condition over these facts; it must come out as true or false.

    Raises
    ------
    RuleSyntaxError : anything outside the language, an unknown name, kinds that do not fit, a text that the fact
        never is.
    """
    if len(text) > LONGEST:
        raise RuleSyntaxError(f"expected at most {LONGEST} characters, were {len(text)}")
    flat = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    lead = len(flat) - len(flat.lstrip(" "))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(flat.strip(" "), mode="eval")
    except SyntaxError as error:
        # Without an offset it breaks off at its end.
        raise RuleSyntaxError(
            "this is not a condition", lead + (error.offset or len(flat.strip(" ")) + 1)
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise RuleSyntaxError("this is not a condition") from None
    stripped = flat.strip(" ")
    # To Python a comment lasts until the end of the line, and the lines of a condition are one line here.
    rest = stripped.encode()[tree.body.end_col_offset :].decode()
    if "#" in rest:
        raise RuleSyntaxError(
            "there are no comments in a condition: what follows would be left out; write it in `description`",
            lead + len(stripped) - len(rest) + rest.index("#") + 1,
        )
    reader = _Reader(stripped, facts, lead)
    root, kind = reader.read(tree.body, 0)
    if kind is not Kind.FLAG:
        raise RuleSyntaxError(f"expected a condition that is true or false, is a {kind}", lead + 1)
    return Expression(text, root, dict(reader.kinds))


class _Reader:
    def __init__(self, text: str, facts: Mapping[str, Fact], lead: int) -> None:
        self.text, self.facts, self.lead = text, facts, lead
        self.kinds: dict[str, Kind] = {}

    def fail(self, at: ast.expr, message: str) -> RuleSyntaxError:
        # Python counts bytes of UTF-8; people count characters.
        before = self.text.encode()[: at.col_offset].decode(errors="ignore")
        return RuleSyntaxError(message, self.lead + len(before) + 1)

    def read(self, node: ast.expr, depth: int) -> tuple[Node, Kind]:
        if depth > DEEPEST:
            raise self.fail(node, f"nested deeper than {DEEPEST}")
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.BoolOp():
                operator = "and" if isinstance(node.op, ast.And) else "or"
                parts = tuple(self._of(part, Kind.FLAG, depth) for part in node.values)
                return Logic(operator, parts), Kind.FLAG
            case ast.UnaryOp(op=ast.Not()):
                return Not(self._of(node.operand, Kind.FLAG, depth)), Kind.FLAG
            case ast.UnaryOp(op=ast.USub()):
                return Negative(self._of(node.operand, Kind.NUMBER, depth)), Kind.NUMBER
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left = self._of(node.left, Kind.NUMBER, depth)
                right = self._of(node.right, Kind.NUMBER, depth)
                return Arithmetic(_ARITHMETIC[type(node.op)], left, right), Kind.NUMBER
            case ast.Compare():
                return self._compare(node, depth), Kind.FLAG
            case ast.Call(func=ast.Name(id=function)) if function in FUNCTIONS:
                if node.keywords or not node.args or (function == "abs" and len(node.args) != 1):
                    raise self.fail(
                        node, f"{function} takes {'one number' if function == 'abs' else 'numbers'}"
                    )
                parts = tuple(self._of(part, Kind.NUMBER, depth) for part in node.args)
                return Call(function, parts), Kind.NUMBER
        raise self.fail(node, "this is not part of the rule language")

    def _of(self, node: ast.expr, kind: Kind, depth: int) -> Node:
        found, actual = self.read(node, depth + 1)
        if actual is not kind:
            raise self.fail(node, f"expected a {kind}, is a {actual}")
        return found

    def _constant(self, node: ast.Constant) -> tuple[Literal, Kind]:
        value = node.value
        if isinstance(value, bool):
            return Literal(value), Kind.FLAG
        if isinstance(value, str):
            return Literal(value), Kind.TEXT
        if isinstance(value, int | float):
            # From the text, not from the float it was read as: 0.1 is a tenth.
            source = (ast.get_source_segment(self.text, node) or "").replace("_", "")
            number = Decimal(source) if _is_plain(source) else Decimal(repr(value))
            if not number.is_finite() or abs(number) > LARGEST:
                raise self.fail(node, f"expected a number of at most {LARGEST:f}")
            return Literal(number), Kind.NUMBER
        raise self.fail(node, "expected a number, a text, true or false")

    def _name(self, node: ast.Name) -> tuple[Node, Kind]:
        if node.id in _CONSTANTS:
            return Literal(_CONSTANTS[node.id]), Kind.FLAG
        fact = self.facts.get(node.id)
        if fact is None:
            known = ", ".join(sorted(self.facts)) or "nothing"
            raise self.fail(node, f"{node.id!r} is not known here; known are {known}")
        self.kinds[node.id] = fact.kind
        return Name(node.id), fact.kind

    def _compare(self, node: ast.Compare, depth: int) -> Node:
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            return self._among(node, depth)
        operators: list[str] = []
        parts = [self.read(node.left, depth + 1)]
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if type(operator) not in _COMPARISONS:
                raise self.fail(right, "this comparison is not part of the rule language")
            operators.append(_COMPARISONS[type(operator)])
            parts.append(self.read(right, depth + 1))
        sources = [node.left, *node.comparators]
        for index, operator_text in enumerate(operators):
            (left, left_kind), (right_part, right_kind) = parts[index], parts[index + 1]
            if left_kind is not right_kind:
                raise self.fail(sources[index + 1], f"a {left_kind} is compared with a {right_kind}")
            if left_kind is not Kind.NUMBER and operator_text not in ("==", "!="):
                raise self.fail(sources[index + 1], f"a {left_kind} is equal or not, never {operator_text}")
            self._check_choice(left, [right_part], sources[index + 1])
            self._check_choice(right_part, [left], sources[index])
        return Compare(tuple(operators), tuple(part for part, _ in parts))

    def _among(self, node: ast.Compare, depth: int) -> Node:
        part, kind = self.read(node.left, depth + 1)
        choices = node.comparators[0]
        if not isinstance(choices, ast.Tuple | ast.List) or not choices.elts:
            raise self.fail(choices, "expected values in parentheses after in")
        values: list[Value] = []
        for element in choices.elts:
            literal, actual = self.read(element, depth + 1)
            if not isinstance(literal, Literal):
                raise self.fail(element, "expected a number or a text")
            if actual is not kind:
                raise self.fail(element, f"a {kind} is compared with a {actual}")
            self._check_choice(part, [literal], element)
            values.append(literal.value)
        return Among(part, tuple(values), isinstance(node.ops[0], ast.NotIn))

    def _check_choice(self, side: Node, others: Iterable[Node], at: ast.expr) -> None:
        """A text that a fact never is would make a rule that never fires, unnoticed."""
        choices = self.facts[side.name].choices if isinstance(side, Name) else frozenset()
        for other in others:
            if choices and isinstance(other, Literal) and other.value not in choices:
                assert isinstance(side, Name)
                raise self.fail(
                    at, f"{side.name} is never {other.value!r}; it is {', '.join(sorted(choices))}"
                )


def _is_plain(source: str) -> bool:
    return bool(source) and set(source) <= set("0123456789.eE+-")
