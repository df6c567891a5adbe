"""One process of a storm: it reads as fast as it may, and cancels five times a second. Run by the test beside it.

    python -m tests.integration.universe.rate_storm URL SECONDS API_KEY API_SECRET

Prints one JSON line: calls made, calls held back by us, calls the venue refused for their rate, slowest cancel.
"""

from __future__ import annotations

import json
import sys
import time

import django

PATIENCE_S = 90.0
CANCEL_EVERY_S = 0.2
"""Of three processes: 900 a minute, half of the 1,800 that reads leave of the venue's 6,000. More than the venue
itself takes would be held back, however they are counted."""


def main(url: str, seconds: float, api_key: str, api_secret: str) -> None:
    django.setup()
    from trading.domain.errors import VenueRejected, VenueUnavailable
    from universe.adapters.binance import SpotClient, endpoints_for
    from universe.services.venue_backoffs import weight_treasury

    client = SpotClient(
        endpoints_for("local", local_url=url),
        api_key=api_key,
        api_secret=api_secret,
        treasury=weight_treasury("storm", address=url),
        account="storm",
    )
    told = {"calls": 0, "held": 0, "refused": 0, "cancels": 0, "cancels_held": 0, "slowest_cancel_s": 0.0}

    def call(method: str, path: str, **params: object) -> None:
        client.response = None
        try:
            client.signed_request(
                method, path, params, timestamp_ms=time.time_ns() // 1_000_000, recv_window_ms=5000
            )
        except VenueRejected:
            pass
        except VenueUnavailable:
            # What was sent and refused came with an HTTP answer; what we held back was never sent.
            sent = client.response is not None and client.response.status_code in (418, 429)
            told["refused" if sent else "held"] += 1
            return
        told["calls"] += 1

    began = time.monotonic()
    canceled_at = 0.0
    # On a slow machine it takes longer until our own ceiling is reached.
    while (took := time.monotonic() - began) < seconds or (not told["held"] and took < PATIENCE_S):
        for _ in range(4):
            call("GET", "/api/v3/rateLimit/order")
        if time.monotonic() - canceled_at < CANCEL_EVERY_S:
            continue
        canceled_at = time.monotonic()
        before = time.perf_counter()
        held = told["held"]
        call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="nothing")
        told["cancels"] += 1
        told["cancels_held"] += told["held"] - held
        told["slowest_cancel_s"] = max(told["slowest_cancel_s"], time.perf_counter() - before)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4])
