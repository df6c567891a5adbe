"""A Binance-compatible paper exchange: spot market, REST, streams and WebSocket API on one port."""

__version__ = "0.1.0"
