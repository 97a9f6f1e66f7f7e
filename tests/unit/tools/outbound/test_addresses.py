"""Addresses that hold others, where a setting opens the range they are in."""

import ipaddress

import pytest

from tools.outbound.addresses import AddressRules


def permits(address: str, *, allowed: tuple[str, ...] = (), denied: tuple[str, ...] = ()) -> bool:
    rules = AddressRules(
        allowed=[ipaddress.ip_network(each) for each in allowed],
        denied=[ipaddress.ip_network(each) for each in denied],
    )
    return rules.permit(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("opened", "form"),
    [
        ("64:ff9b::/96", "64:ff9b::{}"),
        ("64:ff9b:1::/48", "64:ff9b:1::{}"),
        ("::ffff:0:0/96", "::ffff:{}"),
        ("::ffff:0:0:0/96", "::ffff:0:{}"),
        ("::/96", "::{}"),
        ("fe80::/10", "fe80::5efe:{}"),
    ],
)
def test_an_address_inside_another_is_judged_as_well(opened: str, form: str) -> None:
    for inside in ("169.254.169.254", "10.0.0.1", "127.0.0.1"):
        assert not permits(form.format(inside), allowed=(opened,))
    assert permits(form.format("8.8.8.8"), allowed=(opened,))
    assert not permits(form.format("8.8.8.8"), allowed=(opened,), denied=("8.8.8.0/24",))
    assert permits(form.format("10.0.0.1"), allowed=(opened, "10.0.0.0/8"))


def test_addresses_of_6to4_and_teredo_are_opened_with_what_they_hold() -> None:
    assert permits("2002:808:808::1", allowed=("2002::/16",))
    assert not permits("2002:a00:1::1", allowed=("2002::/16",))
    assert not permits("2001:0:a00:1::f7f7:f7f7", allowed=("2001::/32",))


def test_this_host_can_be_opened() -> None:
    assert permits("::1", allowed=("::1/128",))
    assert permits("127.0.0.1", allowed=("127.0.0.1/32",))
