"""Addresses and ranges: what settings say and what proxies write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigurationError
from server.security.networks import Networks, parse_address, parse_network
from server.settings import Settings, load_settings


def networks(*texts: str) -> Networks:
    return Networks(parse_network(text) for text in texts)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
    ],
)
def test_an_address_is_read_in_every_form_that_proxies_write(text: str, address: str):
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "127.1",
        "0x7f000001",
        "2130706433",
        "01.2.3.4",
        "1.2.3.4:x",
        "1.2.3.4:",
        "1.2.3.4:123456",
        "[::1",
        "[::1]x",
        "[::1]:",
        "::1]",
        "٣.1.1.1",
        "1.2.3.4, 5.6.7.8",
        '"1.2.3.4"',
    ],
)
def test_what_is_no_address_is_none(text: str):
    assert parse_address(text) is None


@given(st.text(max_size=80))
def test_no_text_is_too_odd_to_be_judged(text: str):
    assert text not in networks() or parse_address(text) is not None
    assert isinstance(text in networks("0.0.0.0/0", "::/0"), bool)


def test_a_range_holds_an_address_in_both_its_forms():
    assert "10.1.2.3" in networks("10.0.0.0/8")
    assert "::ffff:10.1.2.3" in networks("10.0.0.0/8")
    assert "10.1.2.3" in networks("::ffff:10.0.0.0/104")
    assert "11.1.2.3" not in networks("10.0.0.0/8", "2001:db8::/32")
    assert "2001:db8::7" in networks("10.0.0.0/8", "2001:db8::/32")
    assert "garbage" not in networks("0.0.0.0/0", "::/0")
    assert "1.1.1.1" not in networks()


def test_settings_take_ranges_separated_by_commas(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECURITY__ALLOWED_IPS", "10.0.0.0/8, 2001:db8::/32 ,192.0.2.1")
    monkeypatch.setenv("SECURITY__TRUSTED_PROXIES", "")
    monkeypatch.setenv("API__CORS_ORIGINS", "https://a.example, http://B.example:8080/")
    settings = load_settings()
    assert [str(one) for one in settings.security.allowed_ips] == [
        "10.0.0.0/8",
        "2001:db8::/32",
        "192.0.2.1/32",
    ]
    assert settings.security.trusted_proxies == ()
    assert settings.api.cors_origins == ("https://a.example", "http://b.example:8080")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECURITY__ALLOWED_IPS", "10.0.0.0/8,office", "'office' is no address range"),
        ("SECURITY__ALLOWED_IPS", "10.0.0.1/8", "host bits set"),
        ("SECURITY__TRUSTED_PROXIES", "10.0.0.0/33", "'10.0.0.0/33' is no address range"),
        ("API__CORS_ORIGINS", "*", "every page on the web"),
        ("API__CORS_ORIGINS", "https://*.example.org", "every page on the web"),
        ("API__CORS_ORIGINS", "null", "'null' is no origin"),
        ("API__CORS_ORIGINS", "https://a.example/path", "is no origin"),
        ("SECURITY__RATE_LIMIT_PER_MINUTE", "0", "greater than 0"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(monkeypatch, tmp_path, name, value, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as raised:
        load_settings()
    assert said in str(raised.value)


def test_nobody_is_trusted_or_shut_out_unless_the_settings_say_so():
    settings = Settings(_env_file=None)
    assert settings.security.trusted_proxies == ()
    assert settings.security.allowed_ips == ()
    assert settings.api.cors_origins == ()
