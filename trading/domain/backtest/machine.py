"""Machine code for the kernels: the same source, compiled with numba on first use and kept on disk.

Importing this module imports numba; nothing else of the backtester does. The kernels stay plain functions:
numba is only told how to compile a call to each. The two quotients that could overflow 64 bits are replaced
by versions that carry 128 bits where they must.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from trading.domain.backtest import (
    arithmetic,
    costs,
    execution,
    fold,
    limits,
    loop,
    losses,
    proof,
    rails,
    recent,
    scale,
    sizing,
    tables,
    touches,
)
from trading.domain.strategies.compiled import NUMERIC

# Only some of numba carries types, and what does changes with its version.
numba: Any = import_module("numba")
types: Any = import_module("numba.types")
_extending: Any = import_module("numba.extending")
cgutils: Any = import_module("numba.core.cgutils")
overload, register_jitable = _extending.overload, _extending.register_jitable

_registered: set[Any] = set()
_kept: list[Any] = []
"""Steps whose address was told: their machine code must not go away."""
_MODULES = (
    *(arithmetic, costs, execution, fold, limits, losses, loop, proof, rails, recent, scale, sizing, tables),
    touches,
)
_U32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_TOP = np.uint64(63)

_F8 = types.Array(types.float64, 1, "C")
_I8 = types.Array(types.int64, 1, "C")
_CODES = types.Array(types.int8, 1, "C")
_TABLE = types.Array(types.int64, 2, "C")
_ANSWER = types.Tuple((types.int64, *(types.float64,) * 4))
SIGNALS_SIGNATURE = types.void(*(_F8,) * 7, _CODES)
STEP_SIGNATURE = _ANSWER(_F8, _F8, types.int64, *(types.float64,) * 8)
_STEP = types.FunctionType(STEP_SIGNATURE)


@register_jitable
def _quotient_128(a: int, b: int, c: int) -> tuple[int, int]:
    # Schoolbook product in 32-bit halves, then division bit by bit: for products beyond 63 bits only.
    x, y, d = np.uint64(a), np.uint64(b), np.uint64(c)
    x1, x0, y1, y0 = x >> _U32, x & _LOW, y >> _U32, y & _LOW
    low = x0 * y0
    middle = x1 * y0 + (low >> _U32)
    other = x0 * y1 + (middle & _LOW)
    high = x1 * y1 + (middle >> _U32) + (other >> _U32)
    low = (other << _U32) | (low & _LOW)
    rest = np.uint64(0)
    quotient = np.uint64(0)
    for bit in range(128):
        word = high if bit < 64 else low
        rest = (rest << _ONE) | ((word >> (_TOP - np.uint64(bit % 64))) & _ONE)
        quotient = quotient << _ONE
        if rest >= d:
            rest -= d
            quotient |= _ONE
    return np.int64(quotient), np.int64(rest)  # type: ignore[return-value]  # the compiled int


@overload(arithmetic.mul_div, jit_options={"forceinline": True})
def _mul_div(a, b, c):  # type: ignore[no-untyped-def]
    def exact(a, b, c):  # type: ignore[no-untyped-def]  # numba compares the two signatures
        # Quotients are what a kernel spends its time on, and most of them are of a whole by itself.
        if b == c:
            return a
        if a == c:
            return b
        # The float product is within 2^-52 of the true one, so below 2^62.9 the integers cannot overflow.
        if float(a) * float(b) < 9.0e18:
            return a * b // c
        return _quotient_128(a, b, c)[0]

    return exact


@overload(arithmetic.mul_div_up, jit_options={"forceinline": True})
def _mul_div_up(a, b, c):  # type: ignore[no-untyped-def]
    def exact(a, b, c):  # type: ignore[no-untyped-def]  # numba compares the two signatures
        if b == c:
            return a
        if a == c:
            return b
        if float(a) * float(b) < 9.0e18:
            return -(-(a * b) // c)
        quotient, rest = _quotient_128(a, b, c)
        return quotient + 1 if rest > 0 else quotient

    return exact


def _register() -> None:
    replaced = {arithmetic.mul_div, arithmetic.mul_div_up}
    for module in _MODULES:
        for function in vars(module).values():
            own = inspect.isfunction(function) and function.__module__ == module.__name__
            if own and function not in replaced:
                register_jitable(forceinline=True)(function)


_register()


@lru_cache(maxsize=1)
def kernel_digest() -> str:
    """Return a digest of the kernels' source."""
    sha = hashlib.sha256()
    for module in (*_MODULES, inspect.getmodule(_register)):
        sha.update(Path(str(inspect.getsourcefile(module))).read_bytes())  # type: ignore[arg-type]
    return sha.hexdigest()


def use_cache(directory: Path) -> None:
    """Keep machine code below `directory`, unless numba was told another place (NUMBA_CACHE_DIR) already.

    Call before anything is compiled.
    """
    if not numba.config.CACHE_DIR:
        numba.config.CACHE_DIR = str(directory)


# Neither loop nor step allocates, so numba need not count references to their arrays, which at every bar
# costs more than the bar itself (28 ns against 8 for the step of the moving averages).
_PLAIN = {"cache": True, "_nrt": False, "nogil": True}


def _named(record: type[Any], *members: Any) -> Any:
    return types.NamedTuple(members, record)


def _whole(record: type[Any]) -> Any:
    return types.NamedUniTuple(types.int64, len(record._fields), record)


def _of_arrays(record: type[Any], kinds: dict[str, Any]) -> Any:
    return types.NamedTuple(tuple(kinds.get(name, _I8) for name in record._fields), record)


@_extending.intrinsic
def _step_at(context, address):  # type: ignore[no-untyped-def]
    """The step whose machine code lies at an address.

    Taken as a function, its address is looked up afresh by numba in every call, at a quarter of the cost of a
    run over 100,000 bars.
    """

    def code(context, builder, signature, args):  # type: ignore[no-untyped-def]
        function = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        function.jit_addr = builder.inttoptr(args[0], context.get_value_type(types.voidptr))
        return function._getvalue()

    return _STEP(address), code


def _run_at(address, params, state, bars, funding, scale, limits, costs, setup, tables, said):  # type: ignore[no-untyped-def]
    step = _step_at(address)
    return loop.run_bars(step, params, state, bars, funding, scale, limits, costs, setup, tables, said)


def _first_lie_at(address, params, state, bars, said, upto):  # type: ignore[no-untyped-def]
    return proof.first_lie(_step_at(address), params, state, bars, said, upto)


_KINDS = {
    "rows": _TABLE,
    **dict.fromkeys(("p_open", "p_high", "p_low", "p_close", "volume", "daily", "sigma"), _F8),
}
RUN_SIGNATURE = types.UniTuple(types.int64, 3)(
    types.int64,
    _F8,
    _F8,
    _of_arrays(tables.Columns, _KINDS),
    types.NamedUniTuple(_I8, 4, tables.FundingColumns),
    _whole(scale.Scale),
    _whole(limits.LimitTable),
    _named(costs.CostTable, *(types.int64,) * 5, types.float64),
    _whole(tables.Setup),
    _named(tables.Tables, *(_TABLE,) * 5, _I8, _I8),
    _named(tables.Said, _CODES, _I8, _F8),
)
PROOF_SIGNATURE = types.int64(
    types.int64,
    _F8,
    _F8,
    _of_arrays(tables.Columns, _KINDS),
    _named(tables.Said, _CODES, _I8, _F8),
    types.int64,
)


def _compiled(function: Callable[..., Any], signature: Any, *more: str, kernel: bool = False) -> Any:
    # A kernel divides by nothing that can be zero; a step may, and has to fail as Python does.
    dispatcher = numba.njit(**_PLAIN, error_model="numpy" if kernel else "python")(function)
    # numba discards stored code when the function's own file changes, not when a file it calls into does
    # (a documented limit of its cache), so the stamp gets the digest of all of them.
    stored = dispatcher._cache._cache_file
    stored._source_stamp = (stored._source_stamp, *more)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


@lru_cache(maxsize=1)
def compiled_run() -> Any:
    """Return the compiled `loop.run_bars`; in place of the step it takes its `step_address`."""
    return _compiled(_run_at, RUN_SIGNATURE, kernel_digest(), kernel=True)


@lru_cache(maxsize=1)
def compiled_proof() -> Any:
    """Return the compiled `proof.first_lie`; in place of the step it takes its `step_address`."""
    return _compiled(_first_lie_at, PROOF_SIGNATURE, kernel_digest(), kernel=True)


def _numeric_digest(function: Callable[..., Any]) -> str:
    """Of the source of every `numeric` function that a step calls, itself or through others."""
    reached: set[Any] = set()
    waiting: list[Any] = [function]
    while waiting:
        caller = waiting.pop()
        for name in caller.__code__.co_names:
            called = caller.__globals__.get(name)
            if inspect.isfunction(called) and called in NUMERIC and called not in reached:
                reached.add(called)
                waiting.append(called)
    sources = sorted(inspect.getsource(called) for called in reached)
    return hashlib.sha256("".join(sources).encode()).hexdigest()


@lru_cache(maxsize=256)
def compiled_signals(signals: Callable[..., Any]) -> Any:
    """Return a strategy's whole-column signals as machine code.

    Raises
    ------
    TypeError : it leaves the compiled subset; the text says where.
    """
    return _subset(signals, SIGNALS_SIGNATURE)


@lru_cache(maxsize=256)
def compiled_step(step: Callable[..., Any]) -> Any:
    """Return a strategy's array step as machine code.

    Raises
    ------
    TypeError : the step leaves the compiled subset; the text says where.
    """
    return _subset(step, STEP_SIGNATURE)


@lru_cache(maxsize=256)
def step_address(step: Callable[..., Any]) -> int:
    """Return where the machine code of a step lies, for as long as this process lives.

    Raises
    ------
    TypeError : as `compiled_step`.
    """
    _kept.append(dispatcher := compiled_step(step))
    found = dispatcher.get_compile_result(STEP_SIGNATURE)
    return int(found.library.get_pointer_to_function(found.fndesc.llvm_func_name))


def _subset(function: Callable[..., Any], signature: Any) -> Any:
    for called in NUMERIC - _registered:
        register_jitable(called)
        _registered.add(called)
    try:
        return _compiled(function, signature, _numeric_digest(function))
    except numba.core.errors.NumbaError as error:
        raise TypeError(f"{function.__qualname__} cannot be compiled: {error}") from error
