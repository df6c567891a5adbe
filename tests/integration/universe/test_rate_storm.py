"""Several processes, one limit: a storm of reads is never refused by the venue, and cancels pass all the while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from tests.factories.exchange import ROOT, Exchange, running_exchange
from universe.models import RateCount

PROCESSES = 3
SECONDS = 6.0


pytestmark = pytest.mark.long


@pytest.fixture
def url() -> Iterator[str]:
    """An exchange of its own for each storm: what another one used of the minute is nobody's doing."""
    with running_exchange("BTCUSDT", limits=True) as address:
        yield address


def database_url() -> str:
    """The test's own database, for a process that is not this one."""
    of = settings.DATABASES["default"]
    user = quote(of["USER"])
    password = f":{quote(of['PASSWORD'])}" if of["PASSWORD"] else ""
    name, host = connection.settings_dict["NAME"], quote(of["HOST"], safe="")
    port = f"&port={of['PORT']}" if of["PORT"] else ""
    return f"postgresql://{user}{password}@/{name}?host={host}{port}"


def storm(exchange: Exchange, **environment: str) -> list[dict[str, float]]:
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "nautilus_site.settings.test",
        "DATABASE_URL": database_url(),
        **environment,
    }
    command = [
        *(sys.executable, "-m", "tests.integration.universe.rate_storm", exchange.url, str(SECONDS)),
        *(exchange.account["api_key"], exchange.account["api_secret"]),
    ]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    return [json.loads(process.communicate(timeout=300)[0].splitlines()[-1]) for process in running]


@pytest.mark.parametrize("count", ["valkey", "postgres"])
def test_a_storm_from_several_processes_is_never_refused_and_cancels_pass(
    transactional_db: None, url: str, count: str
) -> None:
    down = {"REDIS_URL": "redis://127.0.0.1:1"} if count == "postgres" else {}
    told = storm(Exchange(url), **down)
    assert sum(t["refused"] for t in told) == 0, told
    assert sum(t["held"] for t in told) > 0, "the storm never reached our own ceiling"
    assert sum(t["cancels"] for t in told) > 0
    assert sum(t["cancels_held"] for t in told) == 0, told
    assert RateCount.objects.exists() == (count == "postgres")
