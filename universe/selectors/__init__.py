from universe.selectors.bars import bar_latest_open_time, bar_open_times, bars_recent, bars_since
from universe.selectors.funding import funding_history, funding_in_force, funding_latest, funding_overview
from universe.selectors.instruments import instrument_get, instruments_listed, instruments_tradable
from universe.selectors.kline_files import kline_file_get, kline_files_listed
from universe.selectors.quotes import quote_get, quotes_by_symbol
from universe.selectors.streams import stream_age_s, stream_states

__all__ = [
    "bar_latest_open_time",
    "bar_open_times",
    "bars_recent",
    "bars_since",
    "funding_history",
    "funding_in_force",
    "funding_latest",
    "funding_overview",
    "instrument_get",
    "instruments_listed",
    "instruments_tradable",
    "kline_file_get",
    "kline_files_listed",
    "quote_get",
    "quotes_by_symbol",
    "stream_age_s",
    "stream_states",
]
