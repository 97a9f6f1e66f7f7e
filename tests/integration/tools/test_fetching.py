"""The client that leaves the building, against real servers that behave and that do not."""

import asyncio
import datetime as dt
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fixtures.ports import free_port
from tests.fixtures.web_servers import Answer, serve
from tools.errors import (
    FetchDisabled,
    FetchError,
    UrlFailed,
    UrlNotAllowed,
    UrlTooLarge,
    UrlTooSlow,
    UrlTypeRefused,
    UrlUnreachable,
)
from tools.outbound import Fetcher
from tools.outbound.addresses import Address
from tools.settings import OutboundSettings

HOST = "files.example"
LOOPBACK = ipaddress.ip_address("127.0.0.1")
INSIDE = ipaddress.ip_address("127.0.0.9")
"""Of this machine as well, but not on the list of what may be fetched from."""


class Names:
    """A resolver whose answers change from one lookup to the next."""

    def __init__(self, *answers: Sequence[Address]) -> None:
        self._answers = list(answers) or [(LOOPBACK,)]
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@dataclass
class Site:
    """A web server, and a fetcher that may reach it."""

    port: int
    fetcher: Fetcher
    names: Names
    visits: list[web.Request] = field(default_factory=list)

    def url(self, path: str = "/", *, scheme: str = "http") -> str:
        return f"{scheme}://{HOST}:{self.port}{path}"


@asynccontextmanager
async def open_site(
    answer: Answer,
    *,
    names: Names | None = None,
    tls: ssl.SSLContext | None = None,
    ports: tuple[int, ...] = (),
    **settings: Any,
) -> AsyncIterator[Site]:
    visits: list[web.Request] = []

    async def remember(request: web.Request) -> web.StreamResponse:
        visits.append(request)
        return await answer(request)

    names = names or Names()
    async with serve(remember, tls=tls) as port:
        chosen = {"enabled": True, "ports": (port, *ports), "allow_private": ("127.0.0.1/32",)}
        fetcher = Fetcher(OutboundSettings.model_validate(chosen | settings), resolver=names)
        yield Site(port=port, fetcher=fetcher, names=names, visits=visits)


def text_of(content: str, **more: Any) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=content, **more)

    return answer


def bytes_of(content: bytes, headers: dict[str, str]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    return answer


def redirect_to(*locations: str) -> Answer:
    """Each request leads on to the next place; the one after the last is answered."""
    left = list(locations)

    async def answer(request: web.Request) -> web.Response:
        if not left:
            return web.Response(text="arrived")
        return web.Response(status=302, headers={"Location": left.pop(0)})

    return answer


async def refuse(site: Site, url: str, **more: Any) -> FetchError:
    with pytest.raises(FetchError) as refusal:
        await site.fetcher.fetch(url, **({"max_bytes": 1_000_000} | more))
    return refusal.value


async def test_what_stands_at_a_url_is_fetched():
    async with open_site(text_of("hello")) as site:
        fetched = await site.fetcher.fetch(site.url("/a/leave%20plan.txt?b=c#d"), max_bytes=5)
    assert (fetched.data, fetched.content_type) == (b"hello", "text/plain")
    assert fetched.filename == "leave plan.txt"
    assert fetched.url == site.url("/a/leave%20plan.txt?b=c")


async def test_a_server_learns_nothing_of_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with open_site(redirect_to("/next?token=x")) as site:
        await site.fetcher.fetch(site.url(), max_bytes=100, accept=("text/plain", "text/html"))
    for visit in site.visits:
        assert dict(visit.headers) == {
            "Host": f"{HOST}:{site.port}",
            "Accept": "text/plain, text/html",
            "Accept-Encoding": "gzip",
            "User-Agent": "YouWorker",
            **({"Connection": "close"} if "Connection" in visit.headers else {}),
        }


async def test_nothing_leaves_the_building_unless_told():
    assert OutboundSettings().enabled is False
    async with open_site(text_of("hello"), enabled=False) as site:
        refusal = await refuse(site, site.url())
    assert isinstance(refusal, FetchDisabled)
    assert refusal.code == "URL_FETCH_DISABLED"
    assert (site.visits, site.names.asked) == ([], [])


async def test_a_name_is_looked_up_once_and_connected_to_as_it_was_judged():
    names = Names((LOOPBACK,), (INSIDE,))
    async with open_site(text_of("hello"), names=names) as site:
        assert (await site.fetcher.fetch(site.url(), max_bytes=100)).data == b"hello"
        assert names.asked == [HOST]


async def test_a_name_that_leads_elsewhere_after_a_redirect_is_judged_again():
    names = Names((LOOPBACK,), (INSIDE,))
    async with open_site(redirect_to("/again"), names=names) as site:
        assert isinstance(await refuse(site, site.url()), UrlUnreachable)
        assert (len(site.visits), names.asked) == (1, [HOST, HOST])


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.9:{port}/",
        "//127.0.0.9:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/",
        "http://2130706441:{port}/",
        "http://user:secret@files.example:{port}/",
        "file:///etc/passwd",
        "gopher://files.example:{port}/",
        "http://files.example:22/",
        "/\\127.0.0.9:{port}/",
        "http://files.example:{port}/\t/",
        "",
    ],
)
async def test_a_redirect_is_judged_like_the_first_address(location: str):
    locations: list[str] = []
    async with open_site(redirect_to_later(locations)) as site:
        locations.append(location.replace("{port}", str(site.port)))
        refusal = await refuse(site, site.url())
    assert refusal.code == ("URL_FAILED" if location == "" else "URL_NOT_ALLOWED")
    assert len(site.visits) == 1


def redirect_to_later(locations: list[str]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": locations[0]})

    return answer


async def test_five_redirects_are_followed_and_no_sixth():
    async with open_site(redirect_to(*"abcde")) as site:
        fetched = await site.fetcher.fetch(site.url("/x"), max_bytes=100)
    assert (fetched.data, fetched.url) == (b"arrived", site.url("/e"))
    async with open_site(redirect_to(*"abcdef")) as site:
        assert isinstance(await refuse(site, site.url("/x")), UrlFailed)
        assert len(site.visits) == 6


@dataclass(frozen=True)
class Authority:
    """A certificate authority and a server's context under it."""

    file: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return Authority(file=folder / "ca.pem", server=server)


async def test_tls_is_spoken_with_the_name_and_not_the_address(authority: Authority):
    named: list[str] = []
    authority.server.sni_callback = lambda _, name, __: named.append(name)
    async with open_site(text_of("hello"), tls=authority.server, ca_file=authority.file) as site:
        fetched = await site.fetcher.fetch(site.url(scheme="https"), max_bytes=100)
    assert (fetched.data, named) == (b"hello", [HOST])


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(authority: Authority):
    async with open_site(text_of("hello"), tls=authority.server) as site:
        assert isinstance(await refuse(site, site.url(scheme="https")), UrlUnreachable)
        assert site.visits == []


async def test_a_redirect_out_of_tls_is_refused(authority: Authority):
    answer = redirect_to("http://files.example/")
    async with open_site(answer, tls=authority.server, ca_file=authority.file, ports=(80,)) as site:
        assert isinstance(await refuse(site, site.url(scheme="https")), UrlNotAllowed)


async def test_a_closed_port_looks_like_a_name_that_leads_inside():
    port = free_port()
    async with open_site(text_of("hello"), ports=(port,)) as site:
        closed = await refuse(site, f"http://{HOST}:{port}/")
    async with open_site(text_of("hello"), names=Names((INSIDE,))) as site:
        inside = await refuse(site, site.url())
    assert (type(closed), str(closed)) == (type(inside), str(inside))


async def test_what_speaks_no_http_looks_the_same():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(greet, "127.0.0.1", 0) as server,
        open_site(text_of("hello"), ports=(server.sockets[0].getsockname()[1],)) as site,
    ):
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
        assert isinstance(await refuse(site, url), UrlUnreachable)


async def test_an_answer_that_is_too_large_is_not_read():
    async with open_site(text_of("x" * 1_001)) as site:
        assert isinstance(await refuse(site, site.url(), max_bytes=1_000), UrlTooLarge)


async def test_an_answer_that_does_not_say_its_length_is_counted():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    async with open_site(endless) as site:
        assert isinstance(await refuse(site, site.url()), UrlTooLarge)


GZIP = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}


async def test_a_packed_answer_is_unpacked():
    packed = gzip.compress(b"hello, ") + gzip.compress(b"world")
    async with open_site(bytes_of(packed, GZIP)) as site:
        assert (await site.fetcher.fetch(site.url(), max_bytes=12)).data == b"hello, world"
        assert isinstance(await refuse(site, site.url(), max_bytes=11), UrlTooLarge)


async def test_a_bomb_is_counted_as_it_unpacks():
    bomb = gzip.compress(bytes(50_000_000), compresslevel=9)
    assert len(bomb) < 100_000
    async with open_site(bytes_of(bomb, GZIP)) as site:
        assert isinstance(await refuse(site, site.url(), max_bytes=1_000_000), UrlTooLarge)


@pytest.mark.parametrize("data", [gzip.compress(b"hello", mtime=0)[:-9], b"no gzip", b""])
async def test_a_packed_answer_that_is_damaged_is_refused(data: bytes):
    async with open_site(bytes_of(data, GZIP)) as site:
        assert isinstance(await refuse(site, site.url()), UrlFailed)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "unheard-of"])
async def test_a_packing_that_nobody_asked_for_is_refused(encoding: str):
    headers = {"Content-Encoding": encoding}
    async with open_site(bytes_of(b"hello", headers)) as site:
        assert isinstance(await refuse(site, site.url()), UrlFailed)


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for as long as anybody listens."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)
    except ConnectionError:
        return response


async def test_a_drip_ends_with_the_time_for_all_of_it():
    async with open_site(drip, total_timeout_seconds=0.2) as site:
        refusal = await refuse(site, site.url())
    assert isinstance(refusal, UrlTooSlow)
    assert refusal.code == "URL_TIMEOUT"


async def test_a_pause_ends_with_the_time_for_one_read():
    released = asyncio.Event()

    async def pause(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await released.wait()
        return response

    async with open_site(pause, read_timeout_seconds=0.1) as site:
        assert isinstance(await refuse(site, site.url()), UrlTooSlow)
        released.set()


async def test_a_lookup_that_hangs_looks_like_a_name_that_is_not():
    class Silent(Names):
        async def resolve(self, host: str) -> Sequence[Address]:
            return await asyncio.Event().wait() or ()

    async with open_site(text_of("hello"), names=Silent(), connect_timeout_seconds=0.05) as site:
        assert isinstance(await refuse(site, site.url()), UrlUnreachable)


async def test_only_types_that_were_asked_for_are_read():
    answer = bytes_of(b"GIF89a", {"Content-Type": "Image/GIF; charset=x"})
    async with open_site(answer) as site:
        refusal = await refuse(site, site.url(), accept=("text/*", "application/pdf"))
        assert isinstance(refusal, UrlTypeRefused)
        for accept in (("image/gif",), ("image/*",), ("*/*",)):
            fetched = await site.fetcher.fetch(site.url(), max_bytes=10, accept=accept)
            assert fetched.content_type == "image/gif"


@pytest.mark.parametrize("said", ["", "text", "text/", "text/html<script>", "a/b/c"])
async def test_a_type_that_is_none_is_taken_for_bytes(said: str):
    async with open_site(bytes_of(b"hello", {"Content-Type": said})) as site:
        fetched = await site.fetcher.fetch(site.url(), max_bytes=10)
    assert fetched.content_type == "application/octet-stream"


@pytest.mark.parametrize("status", [204, 401, 404, 500])
async def test_an_error_page_is_no_document(status: int):
    async with open_site(text_of("" if status == 204 else "sorry", status=status)) as site:
        if status == 204:
            assert (await site.fetcher.fetch(site.url(), max_bytes=10)).data == b""
        else:
            assert str(status) in str(await refuse(site, site.url()))


@pytest.mark.parametrize(
    ("disposition", "path", "name"),
    [
        ('attachment; filename="plan.pdf"', "/x", "plan.pdf"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.pdf", "/x", "€ rates.pdf"),
        ("attachment; filename=\"a.txt\"; filename*=UTF-8''b.txt", "/x", "b.txt"),
        ('attachment; filename="../../etc/passwd"', "/x", "passwd"),
        ('attachment; filename="..\\\\..\\\\boot.ini"', "/x", "boot.ini"),
        ('attachment; filename="C:\\\\plan.doc"', "/x", "plan.doc"),
        ('attachment; filename="..."', "/x", "x"),
        ('attachment; filename=".bashrc"', "/x", "bashrc"),
        ("attachment; filename*=UTF-8''a%00b%0d%0ac%e2%80%aetxt.exe", "/x", "abctxt.exe"),
        ("attachment; filename*=no-such-charset''%ff.txt", "/y.txt", "ÿ.txt"),
        ("attachment; filename=", "/y.txt", "y.txt"),
        ("inline", "/a/b%2Fc%5Cd.txt", "d.txt"),
        (";;;===", "/%2e%2e%2f", HOST),
        ("", "/", HOST),
        ("", "/" + "n" * 300 + ".pdf", "n" * 196 + ".pdf"),
        ("", "/." + "n" * 300, "n" * 200),
    ],
)
async def test_a_file_gets_a_harmless_name(disposition: str, path: str, name: str):
    async with open_site(bytes_of(b"", {"Content-Disposition": disposition})) as site:
        assert (await site.fetcher.fetch(site.url(path), max_bytes=10)).filename == name


async def test_hosts_that_are_not_on_a_list_are_refused():
    for allowed, refused in ((["files.example"], False), (["*.example"], False), (["x"], True)):
        async with open_site(text_of("hello"), allow_hosts=tuple(allowed)) as site:
            if refused:
                assert isinstance(await refuse(site, site.url()), UrlNotAllowed)
            else:
                await site.fetcher.fetch(site.url(), max_bytes=10)
    for denied in ("files.example", "*.EXAMPLE"):
        async with open_site(text_of("hello"), deny_hosts=(denied,)) as site:
            assert isinstance(await refuse(site, site.url()), UrlNotAllowed)
            dotted = site.url().replace(HOST, f"{HOST}.")
            assert isinstance(await refuse(site, dotted), UrlNotAllowed)


async def test_addresses_that_are_denied_stay_so_when_they_are_allowed():
    async with open_site(text_of("hello"), deny_addresses=("127.0.0.0/8",)) as site:
        assert isinstance(await refuse(site, site.url()), UrlUnreachable)
        assert isinstance(await refuse(site, f"http://127.0.0.1:{site.port}/"), UrlNotAllowed)


async def test_no_setting_opens_the_metadata_of_a_cloud():
    async with open_site(text_of("x"), allow_private=("0.0.0.0/0", "::/0"), ports=(80,)) as site:
        for host in ("169.254.169.254", "[fd00:ec2::254]", "168.63.129.16"):
            assert isinstance(await refuse(site, f"http://{host}/"), UrlNotAllowed)


async def test_a_proxy_that_a_setting_names_is_asked_instead():
    names = Names(())  # whoever sits behind a proxy often knows no names of the world outside
    async with open_site(text_of("from the proxy"), names=names) as proxy:
        address = f"http://us:secret@127.0.0.1:{proxy.port}"
        settings = OutboundSettings.model_validate({"enabled": True, "proxy": address})
        fetcher = Fetcher(settings, resolver=names)
        fetched = await fetcher.fetch("http://public.example/x", max_bytes=100)
        assert fetched.data == b"from the proxy"
        assert proxy.visits[0].headers["Proxy-Authorization"].startswith("Basic ")
        assert proxy.visits[0].headers["Host"] == "public.example"
        inside = Fetcher(settings, resolver=Names((INSIDE,)))
        with pytest.raises(UrlUnreachable):
            await inside.fetch("http://wiki.example/", max_bytes=100)
        with pytest.raises(UrlNotAllowed):
            await fetcher.fetch("http://127.0.0.1/", max_bytes=100)
    assert len(proxy.visits) == 1
    assert "secret" not in repr(settings)


async def test_the_system_knows_names_of_this_machine_and_none_that_are_not():
    async with open_site(text_of("hello")) as site:
        settings = OutboundSettings.model_validate(
            {
                "enabled": True,
                "ports": (site.port,),
                "allow_private": ("127.0.0.0/8", "::1/128"),
            }
        )
        fetched = await Fetcher(settings).fetch(f"http://localhost:{site.port}/", max_bytes=10)
        assert fetched.data == b"hello"
        with pytest.raises(UrlUnreachable):
            await Fetcher(settings).fetch(f"http://nowhere.invalid:{site.port}/", max_bytes=10)


async def test_a_fetch_that_is_cancelled_stays_cancelled():
    reached, released = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        reached.set()
        await released.wait()
        return web.Response()

    async with open_site(wait) as site:
        fetching = asyncio.create_task(site.fetcher.fetch(site.url(), max_bytes=10))
        await reached.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        released.set()
