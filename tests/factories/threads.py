"""Real threads with database connections of their own, released at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection


def run_together(*work: Callable[[], Any], timeout_s: float = 60.0) -> list[Any]:
    """Run every callable in a thread of its own; a result is what it returned, or the exception it raised."""
    results: list[Any] = [None] * len(work)
    barrier = threading.Barrier(len(work))

    def run(index: int, call: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout_s)
            results[index] = call()
        except Exception as error:  # noqa: BLE001  handed to the test, which judges it
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(i, call), daemon=True) for i, call in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)
        assert not thread.is_alive(), "a thread hangs: most likely two transactions wait for each other"
    return results


def of_type(results: Sequence[Any], kind: type) -> list[Any]:
    """The results that are of a kind."""
    return [result for result in results if isinstance(result, kind)]
