"""What the market data path counts, in whatever process stores it."""

from prometheus_client import Counter

MARKET_DATA_EVENTS = Counter(
    "market_data_events_total", "Bars and quotes stored, by where they came from.", ["source", "type"]
)
