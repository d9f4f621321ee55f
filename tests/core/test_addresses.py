"""Which addresses a connection may go to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.addresses import METADATA, refusal


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
)
def test_public_addresses_pass(address):
    """An address of the public internet needs no permission."""
    assert refusal(address) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", "unspecified"),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.1.1", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "reserved"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::1", "NAT64"),
        ("2001::1", "Teredo"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "6to4"),
        ("fc00::1", "private"),
        ("fd12::1", "private"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "reserved"),
        ("ff02::1", "multicast"),
        ("4000::1", "reserved"),
        ("169.254.169.254", "metadata service"),
        ("168.63.129.16", "metadata service"),
        ("::ffff:169.254.169.254", "metadata service"),
        ("2002:a9fe:a9fe::", "metadata service"),
        ("64:ff9b::a9fe:a9fe", "metadata service"),
        ("fd00:ec2::254", "metadata service"),
        ("localhost", "not an address"),
        ("127.1", "not an address"),
        ("", "not an address"),
    ],
)
def test_special_addresses_are_refused(address, kind):
    """Each kind is named."""
    assert refusal(address) == kind


@pytest.mark.parametrize(
    ("address", "allowed", "kind"),
    [
        ("10.1.2.3", "10.0.0.0/8", None),
        ("10.1.2.3", "10.2.0.0/16", "private"),
        ("fd12::1", "fd00::/8", None),
        ("::ffff:10.0.0.1", "10.0.0.0/8", "IPv4-mapped"),
        ("64:ff9b::808:808", "64:ff9b::/96", None),
        ("64:ff9b::a00:1", "64:ff9b::/96", "private"),
        ("169.254.169.254", "169.254.0.0/16", "metadata service"),
    ],
)
def test_a_network_can_be_allowed(address, allowed, kind):
    """An allowed network passes; what it carries inside must pass for itself."""
    assert refusal(address, (ip_network(allowed),)) == kind


@given(st.sampled_from(sorted(METADATA, key=str)))
def test_metadata_services_never_pass(address):
    """No setting opens them, bare or carried in another address."""
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    forms = [address]
    if isinstance(address, IPv4Address):
        forms += [IPv6Address(prefix | int(address)) for prefix in (0xFFFF << 32, 0x64FF9B << 96)]
        forms.append(IPv6Address(0x2002 << 112 | int(address) << 80))
    for form in forms:
        assert refusal(str(form), True) == refusal(str(form), everything) == "metadata service"


@given(st.ip_addresses())
def test_what_passes_is_public(address):
    """Nothing passes that the standard library holds to be private, and nothing but 2000::/3 in IPv6."""
    if refusal(str(address)) is None:
        assert not address.is_private
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert isinstance(address, IPv4Address) or address in IPv6Network("2000::/3")


@given(st.ip_addresses())
def test_allowing_all_refuses_only_metadata(address):
    """`True` leaves nothing refused but metadata services."""
    assert refusal(str(address), True) in (None, "metadata service")


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_never_better_than_its_inner_one(address):
    """Wrapping an IPv4 address in IPv6 opens no way that the address itself does not have."""
    allowed = (ip_network("::/0"),)
    if refusal(str(address)) is not None:
        assert refusal(str(ip_address(f"::ffff:{address}")), allowed) is not None
