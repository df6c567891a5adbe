from universe.models.bars import Bar
from universe.models.funding import FundingRate
from universe.models.instruments import DELISTED, Instrument, InstrumentVersion
from universe.models.kline_files import KlineFile
from universe.models.listings import Listing
from universe.models.quotes import Quote
from universe.models.streams import StreamState
from universe.models.venues import RateCount, Venue, VenueBackoff

__all__ = [
    "DELISTED",
    "Bar",
    "FundingRate",
    "Instrument",
    "InstrumentVersion",
    "KlineFile",
    "Listing",
    "Quote",
    "RateCount",
    "StreamState",
    "Venue",
    "VenueBackoff",
]
