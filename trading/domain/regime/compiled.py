"""Machine code for kernels: the same source, compiled on request, equal to the bit.

A kernel is a plain function in the subset that numba compiles: scalars and float64 arrays in, loops, `math`
and no numpy reductions (whose summation order differs between the two). It runs as it is, and `compiled`
returns its twin. numba is imported at the first call of `compiled`, never before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

from trading.domain.regime.errors import KernelUnavailable

F = TypeVar("F", bound=Callable[..., Any])

_KERNELS: set[Callable[..., Any]] = set()


def kernel(function: F) -> F:
    """Declare a function a kernel, so that kernels which call it compile together with it."""
    _KERNELS.add(function)
    return function


@cache
def _machine_code(function: FunctionType) -> Any:
    try:
        from numba import njit
    except ImportError as error:
        raise KernelUnavailable(
            f"compiling {function.__qualname__} needs numba, which is not installed"
        ) from error
    called = _called_kernels(function)
    linked = FunctionType(
        function.__code__,
        function.__globals__ | {name: _machine_code(callee) for name, callee in called.items()},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    linked.__module__, linked.__qualname__ = function.__module__, function.__qualname__
    # No fastmath: it reorders sums. The numpy error model only drops the test for division by zero,
    # against which every kernel guards itself.
    dispatcher = njit(cache=True, error_model="numpy")(linked)
    if called:
        _watch_sources(dispatcher, function)
    return dispatcher


def compiled(function: F) -> F:
    """Return the machine-code twin of a kernel, compiled once per process and cached on disk.

    Raises
    ------
    KernelUnavailable : numba is not installed.
    """
    return cast(F, _machine_code(cast(FunctionType, function)))


def fastest(function: F) -> F:
    """Return the machine-code twin where numba is installed, else the kernel itself: the numbers are equal.

    For work over whole series, where waiting for the compiler pays.
    """
    try:
        return compiled(function)
    except KernelUnavailable:
        return function


def with_callees(*functions: Callable[..., Any]) -> frozenset[FunctionType]:
    """Return kernels together with every kernel they call, for compilers that have to be told of each."""
    found: set[FunctionType] = set()
    waiting = [cast(FunctionType, function) for function in functions]
    while waiting:
        function = waiting.pop()
        if function not in found:
            found.add(function)
            waiting.extend(_called_kernels(function).values())
    return frozenset(found)


def use_cache(folder: Path) -> None:
    """Keep machine code below `folder`, unless the environment already names a place (NUMBA_CACHE_DIR).

    Without numba there is nothing to keep.
    """
    try:
        config: Any = import_module("numba.core.config")
    except ImportError:
        return
    if not config.CACHE_DIR:
        config.CACHE_DIR = str(folder)


def _called_kernels(function: FunctionType) -> dict[str, FunctionType]:
    named = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    return {n: f for n, f in named.items() if isinstance(f, FunctionType) and f in _KERNELS}


def _watch_sources(dispatcher: Any, function: FunctionType) -> None:
    # numba invalidates cached code when the function's own file changes, not when a file it calls into
    # does (documented limitation of cache=True); so the stamp covers all of them.
    digest = hashlib.sha256()
    for name in sorted({callee.__code__.co_filename for callee in with_callees(function)}):
        digest.update(Path(name).read_bytes())
    index = dispatcher._cache._cache_file
    index._source_stamp = (index._source_stamp, digest.hexdigest())
