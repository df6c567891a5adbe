from universe.services.bars import BackfillResult, bars_backfill, bars_gaps, bars_prune, bars_store
from universe.services.connections import (
    SPOT_VENUE,
    USDM_VENUE,
    configured_endpoints,
    market_data_of,
    spot_client,
    spot_market_data,
    usdm_client,
    usdm_market_data,
)
from universe.services.funding import (
    FundingHole,
    FundingStored,
    funding_fetch,
    funding_follow,
    funding_holes,
    funding_import,
    funding_store,
)
from universe.services.instruments import SyncResult, instruments_sync, venue_ensure
from universe.services.quotes import MarkUpdate, QuoteUpdate, marks_store, quotes_store
from universe.services.rate_budgets import rate_counts_prune
from universe.services.streams import (
    stream_connected,
    stream_disconnected,
    stream_gap_closed,
    stream_heard,
)
from universe.services.venue_backoffs import PostgresBackoffStore, weight_treasury

__all__ = [
    "SPOT_VENUE",
    "USDM_VENUE",
    "BackfillResult",
    "FundingHole",
    "FundingStored",
    "MarkUpdate",
    "PostgresBackoffStore",
    "QuoteUpdate",
    "SyncResult",
    "bars_backfill",
    "bars_gaps",
    "bars_prune",
    "bars_store",
    "configured_endpoints",
    "funding_fetch",
    "funding_follow",
    "funding_holes",
    "funding_import",
    "funding_store",
    "instruments_sync",
    "market_data_of",
    "marks_store",
    "quotes_store",
    "rate_counts_prune",
    "spot_client",
    "spot_market_data",
    "stream_connected",
    "stream_disconnected",
    "stream_gap_closed",
    "stream_heard",
    "usdm_client",
    "usdm_market_data",
    "venue_ensure",
    "weight_treasury",
]
