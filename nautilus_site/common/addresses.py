"""Where a caller connects from: what a token may be bound to, and what wrong log-ins are counted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from nautilus_site.common.errors import ApplicationError

MOST = 20


def client_address(peer: str, forwarded: str) -> str:
    """The address a caller connects from: the peer's, or what a proxy of ours says of whom it speaks for.

    `forwarded` is `X-Forwarded-For`, which anybody can write: it counts only from `TRUSTED_PROXIES`, and of it only the
    last address that is no proxy of ours.
    """
    address = peer
    for said in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not address_within(address, settings.TRUSTED_PROXIES):
            break
        address = said
    return address


def request_address(request: HttpRequest, *_: Any) -> str:
    """The same of a request."""
    return client_address(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def address_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of some networks. What is no address lies in none."""
    try:
        plain: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(plain, IPv6Address) and plain.ipv4_mapped is not None:
        plain = plain.ipv4_mapped
    return any(plain in ip_network(network) for network in networks)


def networks_clean(given: Sequence[str]) -> list[str]:
    """Addresses and networks in one spelling, sorted, each once.

    Raises
    ------
    ApplicationError : INVALID_ADDRESS, one that is no address or network, is everybody's, or too many.
    """
    if len(given) > MOST:
        raise ApplicationError("INVALID_ADDRESS", f"at most {MOST} addresses")
    found = set()
    for text in given:
        try:
            network = ip_network(text.strip())
        except ValueError:
            raise ApplicationError(
                "INVALID_ADDRESS", f"expected an address or a network like 10.0.0.0/24, was {text[:50]!r}"
            ) from None
        if network.prefixlen == 0 or (
            isinstance(network, IPv6Network) and network.network_address.ipv4_mapped
        ):
            raise ApplicationError("INVALID_ADDRESS", f"{network} is no place a token could be bound to")
        found.add(str(network))
    return sorted(found)
