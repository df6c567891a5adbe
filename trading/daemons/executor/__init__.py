"""The executor: turns a stream of signals into orders over the platform's API, with a token and limits of its own.

It is a client like any other: no database, no exchange key, no code that reaches an exchange. Stopping it stops it
and nothing else.
"""

from trading.daemons.executor.api import OrderApi, TokenRefused
from trading.daemons.executor.loop import Executor, Outcome
from trading.daemons.executor.sources import follow_file, poll_url, read_lines

__all__ = ["Executor", "OrderApi", "Outcome", "TokenRefused", "follow_file", "poll_url", "read_lines"]
