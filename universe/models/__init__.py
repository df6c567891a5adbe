from universe.models.bars import Bar
from universe.models.instruments import DELISTED, Instrument, InstrumentVersion
from universe.models.kline_files import KlineFile
from universe.models.quotes import Quote
from universe.models.streams import StreamState
from universe.models.venues import RateCount, Venue, VenueBackoff

__all__ = [
    "DELISTED",
    "Bar",
    "Instrument",
    "InstrumentVersion",
    "KlineFile",
    "Quote",
    "RateCount",
    "StreamState",
    "Venue",
    "VenueBackoff",
]
