"""python-binance holding a short futures position over a funding time of a market moved by hand."""

from __future__ import annotations

from binance import Client
from steps import API_KEY, API_SECRET, URL, Steps, control


class LocalClient(Client):
    API_URL = f"{URL}/api"
    FUTURES_URL = f"{URL}/fapi"


S = "BTCUSDT"
steps = Steps()
client = LocalClient(API_KEY, API_SECRET)

with steps("opened") as out:
    out.value = client.futures_create_order(symbol=S, side="SELL", type="MARKET", quantity="0.500")
with steps("funded") as out:
    mark = client.futures_mark_price(symbol=S)
    control("/clock", {"advance_ms": mark["nextFundingTime"] - mark["time"] + 60_000})
    out.value = mark
with steps("rates") as out:
    out.value = client.futures_funding_rate(symbol=S, startTime=mark["nextFundingTime"] - 60_000)
with steps("income") as out:
    out.value = client.futures_income_history(symbol=S, incomeType="FUNDING_FEE")
with steps("orders") as out:
    out.value = client.futures_get_all_orders(symbol=S)
with steps("fills") as out:
    out.value = client.futures_account_trades(symbol=S)
with steps("account") as out:
    out.value = client.futures_account()
steps.report()
