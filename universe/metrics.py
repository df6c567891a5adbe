"""What the market data path counts, in whatever process stores it."""

from prometheus_client import Counter, Histogram

MARKET_DATA_EVENTS = Counter(
    "market_data_events_total", "Bars and quotes stored, by where they came from.", ["source", "type"]
)
LISTINGS = Counter("listings_total", "Symbols that were seen to begin trading.", ["venue"])
LISTING_DELAY = Histogram(
    "listing_detection_seconds",
    "Market time from a listing's first trade until a strategy first looked at it.",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600),
)
