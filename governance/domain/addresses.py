"""Which network addresses a message may be sent to (server-side request forgery; safety.md S19)."""

from __future__ import annotations

import ipaddress
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_OWN: Final = _networks(
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
)
"""Where receivers of one's own may lie."""
_NEVER: Final = _networks(
    "168.63.129.16/32",  # Azure's host, which hands out certificates and configuration
    "192.0.0.0/24",  # protocol assignments; Oracle's old metadata
    "192.88.99.0/24",  # relays of 6to4
    "3fff::/20",  # documentation, newer than the library's tables
    "fd00:ec2::/32",  # Amazon's metadata, within what is else one's own
    "fd20:ce::/32",  # Google's
)
"""What answers for the machine a process runs on, or passes on to where nobody can say."""
_INTERNET_6: Final = ipaddress.ip_network("2000::/3")
"""All that is allocated on the internet. Outside lie local, mapped, translated, site-local and unassigned ranges."""
_CARRIERS: Final = _networks("2001::/23", "2002::/16")
"""Teredo, 6to4 and their like: an address inside an address. Nobody receives there."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""The third quarter of an IPv6 address that carries an IPv4 address in its last (RFC 5214)."""


def is_reachable(text: str, *, private: bool = False) -> bool:
    """Whether an IP address may be connected to.

    Only what is routed on the internet passes; `private` also lets loopback and private ranges pass, for receivers
    of one's own. Link-local ranges and other places where clouds keep their metadata never pass, nor do multicast,
    reserved and unspecified ones, nor addresses that carry another one inside, except mapped ones, which are that
    other one, and NAT64 of a public one. What is no address does not pass.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _allowed(address.ipv4_mapped, private)
        if address in _NAT64:
            return _allowed(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), False)
    return _allowed(address, private)


def _allowed(address: _Address, private: bool) -> bool:
    if _within(address, _NEVER):
        return False
    if _within(address, _OWN):
        return private
    if isinstance(address, ipaddress.IPv6Address):
        carries = _within(address, _CARRIERS) or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        if address not in _INTERNET_6 or carries:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _within(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)
