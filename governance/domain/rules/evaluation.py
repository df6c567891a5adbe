"""What a condition is, given the facts: true, false, or unknown because something it needs is not known."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow, localcontext
from typing import Any

from governance.domain.rules.expressions import (
    Among,
    Arithmetic,
    Call,
    Compare,
    Expression,
    Literal,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Value,
)
from governance.domain.rules.vocabulary import Kind

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CALCULATE: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


_LARGEST_POWER = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Attributes
    ----------
    value : None when it cannot be known.
    missing : facts it uses that are not known (absent, None, not finite), sorted.
    evidence : the facts it uses, as they were.
    """

    value: bool | None
    missing: tuple[str, ...]
    evidence: Mapping[str, Value]


def evaluate(expression: Expression, facts: Mapping[str, Any]) -> Evaluation:
    """Evaluate with three values (Kleene): false and unknown is false, true or unknown is true.

    A division by zero is unknown. It never raises for a fact's value.

    Parameters
    ----------
    facts : numbers (int, float, Decimal or their text), texts, bools; None, and what is not of the promised kind,
        is unknown.
    """
    read = {name: _value(facts.get(name), kind) for name, kind in expression.kinds.items()}
    known = {name: value for name, value in read.items() if value is not None}
    with localcontext() as context:
        context.traps[DivisionByZero] = context.traps[InvalidOperation] = False
        context.traps[Overflow] = context.traps[Underflow] = False
        outcome = _of(expression.root, known)
    value = outcome if isinstance(outcome, bool) else None
    return Evaluation(value, tuple(sorted(read.keys() - known.keys())), known)


def _value(given: Any, kind: Kind) -> Value | None:
    """A fact of the kind its vocabulary promised; one that is not is as good as unknown."""
    if kind is not Kind.NUMBER:
        return given if isinstance(given, bool if kind is Kind.FLAG else str) else None
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal | str):
        return None
    try:
        number = Decimal(repr(given) if isinstance(given, float) else given)
    except InvalidOperation:
        return None
    # What nobody could write down as evidence is no amount.
    return number if number.is_finite() and abs(number.adjusted()) < _LARGEST_POWER else None


def _of(node: Node, facts: Mapping[str, Value]) -> Value | None:
    match node:
        case Literal(value):
            return value
        case Name(name):
            return facts.get(name)
        case Not(part):
            inner = _flag(part, facts)
            return None if inner is None else not inner
        case Negative(part):
            number = _number(part, facts)
            return None if number is None else -number
        case Logic(joint, parts):
            return _joined(joint, [_flag(part, facts) for part in parts])
        case Compare(operators, parts):
            values = [_of(part, facts) for part in parts]
            steps = [_compared(o, values[i], values[i + 1]) for i, o in enumerate(operators)]
            return _joined("and", steps)
        case Among(part, choices, negated):
            sought = _of(part, facts)
            return None if sought is None else (sought in choices) != negated
        case Arithmetic(sign, left, right):
            a, b = _number(left, facts), _number(right, facts)
            return None if a is None or b is None else _finite(_CALCULATE[sign](a, b))
        case Call(function, parts):
            numbers = [_number(part, facts) for part in parts]
            known = [number for number in numbers if number is not None]
            if len(known) != len(numbers):
                return None
            return abs(known[0]) if function == "abs" else (min if function == "min" else max)(known)


def _joined(joint: str, values: list[bool | None]) -> bool | None:
    decisive = joint == "or"
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def _compared(sign: str, left: Value | None, right: Value | None) -> bool | None:
    if left is None or right is None:
        return None
    return _COMPARE[sign](left, right)


def _flag(node: Node, facts: Mapping[str, Value]) -> bool | None:
    value = _of(node, facts)
    return value if isinstance(value, bool) else None


def _number(node: Node, facts: Mapping[str, Value]) -> Decimal | None:
    value = _of(node, facts)
    return value if isinstance(value, Decimal) else None


def _finite(number: Decimal) -> Decimal | None:
    return number if number.is_finite() else None
