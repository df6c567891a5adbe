"""Which addresses a message may be sent to, against the registries of special-purpose addresses (RFC 6890)."""

from __future__ import annotations

import pytest

from governance.domain.addresses import is_reachable

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "::1",
    "fd00::1",
]
NEVER = [
    "169.254.169.254",  # where clouds keep their metadata
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",  # noqa: S104  looked at, never bound
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",  # NAT64 of the same
    "2002:a9fe:a9fe::1",  # 6to4 of the same
    "2002:808:808::1",  # 6to4 of anything: its relays are gone
    "2001:0:7f00:1::",  # Teredo
    "2606:4700::5efe:7f00:1",  # ISATAP
    "2606:4700::200:5efe:a00:1",
    "64:ff9b::a00:1",  # NAT64 is for public addresses
    "64:ff9b:1::a00:1",  # NAT64 of one's own making
    "::ffff:0:7f00:1",  # translated
    "::7f00:1",  # compatible
    "fec0::1",  # site-local, deprecated and still routed by some
    "168.63.129.16",  # Azure's host
    "::ffff:168.63.129.16",
    "64:ff9b::a83f:8110",
    "100.100.100.200",  # Alibaba's metadata
    "192.0.0.192",  # Oracle's
    "fd00:ec2::254",  # Amazon's
    "fd20:ce::254",  # Google's
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.2.1",
    "2001:db8::1",
    "3fff::1",
    "2001:20::1",
    "100::1",
    "5f00::1",
    "4000::1",
    "",
    "localhost",
    "2130706433",
    "0x7f.1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "168.63.129.17",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
EMBEDDED_PRIVATE = ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_may_be_reached(address: str) -> None:
    assert is_reachable(address)


@pytest.mark.parametrize("address", [*PRIVATE, *EMBEDDED_PRIVATE, "100.64.0.1", "198.18.0.1"])
def test_what_is_not_routed_may_not(address: str) -> None:
    assert not is_reachable(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_receiver_of_ones_own_may_lie_at_a_private_address(address: str) -> None:
    assert is_reachable(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_reached_whatever_is_allowed(address: str) -> None:
    assert not is_reachable(address)
    assert not is_reachable(address, private=True)
