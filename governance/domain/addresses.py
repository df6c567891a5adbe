"""Which network addresses a message may be sent to (server-side request forgery; safety.md S19)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")


def is_reachable(text: str, *, private: bool = False) -> bool:
    """Whether an IP address may be connected to.

    Only what is routed on the internet passes; `private` also lets loopback and private ranges pass, for receivers
    of one's own. Link-local ranges (where clouds keep their metadata), multicast, reserved and unspecified ones never
    pass, nor do addresses that carry such a one inside: mapped, NAT64, 6to4, Teredo. What is no address does not pass.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_allowed(one, private) for one in _with_embedded(address))


def _allowed(address: _Address, private: bool) -> bool:
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return private
    if address.is_reserved:
        return False
    if address.is_private:
        # Documentation and benchmark ranges are "private" to the library; they lead nowhere and may stay out of use.
        return private
    return address.is_global


def _with_embedded(address: _Address) -> Iterator[_Address]:
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    embedded: list[_Address] = []
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped  # it is that address, and nothing else
        return
    if address.sixtofour is not None:
        embedded.append(address.sixtofour)
    if address.teredo is not None:
        embedded.extend(address.teredo)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address in _NAT64:
            yield from embedded
            return
    yield address
    yield from embedded
