"""How the driver keeps what it has read of a statement's text."""

from __future__ import annotations

from psycopg import _queries

LONGEST, MOST_PARAMETERS = 16_384, 200


def keep_long_statements() -> None:
    """Let the driver remember long statements, too.

    psycopg looks for the placeholders of a statement once and remembers them, unless it has more than 4,096 characters
    or 50 parameters: it takes those for the bulk inserts of an ORM. Ours are written by hand and come back with every
    order, and looking through the two of them each time took 4 % of the processor time of Tx A. The memory has 128
    places, so it stays under 10 MB.
    """
    _queries.MAX_CACHED_STATEMENT_LENGTH = LONGEST
    _queries.MAX_CACHED_STATEMENT_PARAMS = MOST_PARAMETERS
