"""URLs that lead inside, in every form that some parser somewhere understands."""

import ipaddress
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from aiohttp import web

from tests.fixtures.web_servers import serve
from tools.errors import FetchError, UrlNotAllowed, UrlUnreachable
from tools.outbound import Fetcher
from tools.outbound.addresses import Address, AddressRules
from tools.outbound.targets import TargetRules
from tools.settings import OutboundSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOPBACK_HOSTS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.1.",
    "127.0.0.1..",
    "2130706433",
    "2130706433.",
    "017700000001",
    "00000000017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "0177.0x0.0.1",
    "00127.0.0.1",
    "127.000.000.001",
    "127.0.0.001",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0x7f.0.1",
    "127.0x1",
    "127.0.0.0x1",
    "127.65535",
    "0x000000007f000001",
    "0x17f000001",
    "6425673729",
    "0",
    "0.0",
    "0.0.0.0",
    "00.00.00.00",
    "0x0",
    "0x",
    "127.0.0.1%00",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "%3127.0.0.1",
    "127.0.0.1%20",
    "127.0.0.1%23",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "𝟙𝟚𝟟.𝟘.𝟘.𝟙",
    "¹²⁷.⁰.⁰.¹",
    "₁₂₇.₀.₀.₁",
    "١٢٧.٠.٠.١",
    "۱۲۷.۰.۰.۱",
    "१२७.०.०.१",
    "２１３０７０６４３３",
    "０ｘ７ｆ０００００１",
    "127.0.0.1\u200b",
    "127.0.0\u2060.1",
    "127.0.0.1\u00ad",
    "127.0.0.\ufeff1",
    "127,0,0,1",
    "127..0.0.1",
    ".127.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    "[::]",
    "[0::0]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:0]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:0:0:0:0:127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b:1:7f00:0:100::]",
    "[64:ff9b::8.8.8.8]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[2001:0000:4136:e378:8000:63bf:80ff:fffe]",
    "[2001:db8::5efe:127.0.0.1]",
    "[2606:4700::5efe:127.0.0.1]",
    "[2606:4700::200:5efe:127.0.0.1]",
    "[::1%25lo]",
    "[::1%lo]",
    "[::1%251]",
    "[fe80::1%25eth0]",
    "[::１]",
    "[::1].",
    "[::1]x",
    "[[::1]]",
    "[::1",
    "::1",
    "[v1.::1]",
    "[127.0.0.1]",
    "[localhost]",
]
PRIVATE_HOSTS = [
    "10.0.0.1",
    "10.255.255.255",
    "0xa.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "2886729729",
    "192.168.0.1",
    "192.168.1",
    "0xc0a80001",
    "3232235521",
    "169.254.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "１６９.２５４.１６９.２５４",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[4000::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:c0a8:1]",
    "[::10.0.0.1]",
    "[2002:a00:1::1]",
    "[2002:c0a8:101::1]",
]
MALFORMED = [
    "",
    "http",
    "http:",
    "http://",
    "http:///",
    "http:///127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/",
    "ftp://127.0.0.1/",
    "ws://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}/!/",
    "view-source:http://127.0.0.1:{port}/",
    "data:text/html,hello",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "http://user@public.example/",
    "http://user:secret@public.example/",
    "http://@public.example/",
    "http://:@public.example/",
    "http://public.example@127.0.0.1:{port}/",
    "http://public.example:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/",
    "http://public.example%40127.0.0.1:{port}/",
    "http://public.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http:\\\\127.0.0.1:{port}/",
    "http://public.example\\.127.0.0.1:{port}/",
    "http://public.example\t@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\n.public.example/",
    "http://127.0.0.1:{port}\r\nHost: public.example/",
    "http://public.example/ HTTP/1.1\r\nX: y",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/ ",
    "ht\ntp://127.0.0.1:{port}/",
    "\x00http://127.0.0.1:{port}/",
    "http://127.0.0.1\x00.public.example:{port}/",
    "http://pub lic.example/",
    "http://public.example:{port}:80/",
    "http://127.0.0.1:80:{port}/",
    "http://public.example:0/",
    "http://public.example:22/",
    "http://public.example:65536/",
    "http://public.example:-1/",
    "http://public.example:+80/",
    "http://public.example:0x50/",
    "http://public.example:８０/",
    "http://public.example:80 /",
    "http://public..example/",
    "http://.public.example/",
    "http://public.example../",
    "http://-public.example/",
    "http://public_.exa$mple/",
    "http://*.example/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 130 + "example/",
    "http://public.example/" + "a" * 5_000,
    "http://public.example/\ud800",
    "http://public.example/\u2028",
    "http://public.example/\x7f",
    "http://1.2.3.4.5/",
    "http://256.256.256.256/",
    "http://999.1.1.1/",
    "http://0.0.0.0.0x7f/",
    "http://public.example.123/",
    "http://public.example.0x7f/",
]
INSIDE_NAMES = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",
    "anything.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "127.0.0.1.nip.io",
    "7f000001.rbndr.example",
    "metadata.google.internal",
    "wiki",
    "printer.local",
    "xn--lcalhost-n2a",
    "bücher.example",
    "a_b.example",
    "1e3",
]
PUBLIC = [
    ("http://8.8.8.8/", "8.8.8.8"),
    ("https://1.1.1.1:443/dns-query?a=b#c", "1.1.1.1"),
    ("http://9.255.255.255/", "9.255.255.255"),
    ("http://11.0.0.0/", "11.0.0.0"),
    ("http://100.63.255.255/", "100.63.255.255"),
    ("http://100.128.0.0/", "100.128.0.0"),
    ("http://172.15.255.255/", "172.15.255.255"),
    ("http://172.32.0.0/", "172.32.0.0"),
    ("http://192.167.255.255/", "192.167.255.255"),
    ("http://223.255.255.255/", "223.255.255.255"),
    ("http://[2606:4700:4700::1111]/", "2606:4700:4700::1111"),
    ("http://[2001:4860:4860:0:0:0:0:8888]/", "2001:4860:4860::8888"),
    ("http://[2A00:1450::5]/", "2a00:1450::5"),
]
NAMES = [
    ("HTTP://Public.Example:80/a/b%20c?d=%C3%BC", "public.example"),
    ("https://public.example./", "public.example"),
    ("https://bücher.example/straße", "xn--bcher-kva.example"),
    ("http://日本語。例え.jp/", "xn--wgv71a119e.xn--r8jz45g.jp"),
    ("http://3com.example/", "3com.example"),
    ("http://123.example/", "123.example"),
    ("http://a_b.example/", "a_b.example"),
    ("http://0x7f.example/?@127.0.0.1", "0x7f.example"),
    ("http://public.example?@127.0.0.1/", "public.example"),
    ("http://public.example#@127.0.0.1/", "public.example"),
]


class FixedResolver:
    """Knows where every name leads."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = tuple(map(ipaddress.ip_address, addresses))

    async def resolve(self, host: str) -> Sequence[Address]:
        return self._addresses


class Trap:
    """A server inside, which nobody from outside should reach."""

    def __init__(self) -> None:
        self.port = 0
        self.visits: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.visits.append(request.host)
        return web.Response(text="the secrets of the house")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    async with serve(trap.answer) as trap.port:
        yield trap


def fetcher(trap: Trap, *addresses: str) -> Fetcher:
    settings = OutboundSettings(enabled=True, ports=(80, 443, trap.port))
    return Fetcher(settings, resolver=FixedResolver(*(addresses or ("127.0.0.1",))))


async def refuse(trap: Trap, url: str, *addresses: str) -> FetchError:
    with pytest.raises(FetchError) as refusal:
        await fetcher(trap, *addresses).fetch(url, max_bytes=1_000)
    assert trap.visits == []
    return refusal.value


@pytest.mark.parametrize("host", LOOPBACK_HOSTS + PRIVATE_HOSTS)
async def test_an_address_inside_is_refused_in_every_form(trap: Trap, host: str) -> None:
    refusal = await refuse(trap, f"http://{host}:{trap.port}/")
    assert isinstance(refusal, UrlNotAllowed)
    assert host not in str(refusal)


@pytest.mark.parametrize("url", MALFORMED)
async def test_what_two_parsers_could_read_differently_is_refused(trap: Trap, url: str) -> None:
    assert isinstance(await refuse(trap, url.replace("{port}", str(trap.port))), UrlNotAllowed)


@pytest.mark.parametrize("host", INSIDE_NAMES)
async def test_a_name_that_leads_inside_looks_like_one_that_is_not(trap: Trap, host: str) -> None:
    inside = await refuse(trap, f"http://{host}:{trap.port}/")
    settings = OutboundSettings(enabled=True, ports=(trap.port,))
    with pytest.raises(UrlUnreachable) as missing:
        await Fetcher(settings, resolver=FixedResolver()).fetch(
            f"http://{host}:{trap.port}/", max_bytes=1_000
        )
    assert (type(inside), str(inside)) == (missing.type, str(missing.value))


@pytest.mark.parametrize(
    "addresses",
    [("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("2606:4700::1", "::ffff:127.0.0.1")],
)
async def test_one_bad_address_among_good_ones_refuses_the_name(
    trap: Trap, addresses: tuple[str, ...]
) -> None:
    await refuse(trap, f"http://public.example:{trap.port}/", *addresses)


@pytest.mark.parametrize(("url", "address"), PUBLIC)
async def test_public_addresses_may_be_fetched_from(url: str, address: str) -> None:
    target = TargetRules(ports=(80, 443)).read(url)
    assert target.address is not None
    assert str(target.address) == target.host == target.url.raw_host == address
    assert AddressRules().permit(target.address)


@pytest.mark.parametrize(("url", "host"), NAMES)
async def test_names_are_read_as_they_will_be_asked_for(url: str, host: str) -> None:
    target = TargetRules(ports=(80, 443)).read(url)
    assert (target.address, target.host, target.url.raw_host) == (None, host, host)


async def test_the_table_is_long_enough() -> None:
    assert len(LOOPBACK_HOSTS + PRIVATE_HOSTS + MALFORMED + INSIDE_NAMES) >= 250
