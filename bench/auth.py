"""What the doors and the access clause add to a query: `python -m bench.auth`.

`GET /v1/chat/sessions` of the product, with an API key, is measured beside a bare Starlette and
asyncpg endpoint that answers the same JSON from the same rows, in alternating batches of one run.
The product finds the key, counts the request against two limits that all replicas share, opens a
transaction under row-level security and adds its headers; the bare one does none of this. Times
vary by machine and load; the ratios are what counts.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.arrangements import own_database, serve_model, serve_product
from bench.postgres import open_server
from bench.processes import BenchmarkError, Served, free_port, serve
from persistence.access import AccessScope
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.settings import DatabaseSettings

PATH = "/v1/chat/sessions"
SESSIONS = 10
AT_ONCE = 16
WARM_UP_REQUESTS = 300
ANSWER_TIMEOUT_SECONDS = 10
MUST_CPU_MS = 5.0
"""What a request may cost in all; `make bench` fails when the doors alone take as much."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One of the two that are compared."""

    served: Served
    key: str = ""

    @property
    def request(self) -> bytes:
        """The request as it goes over the wire."""
        lines = [f"GET {PATH} HTTP/1.1", f"Host: 127.0.0.1:{self.served.port}"]
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One batch."""

    cpu_ms: float
    """Of the server's process, a request."""
    alone_ms: float
    """Median latency of requests one after the other."""
    crowded_ms: float
    """Median latency with `AT_ONCE` under way all the time."""


def compare(database_url: str, work_dir: Path, *, rounds: int, requests: int) -> list[list[Sample]]:
    """The samples of the bare endpoint and of the product, round by round."""
    with _open_endpoints(database_url, work_dir) as endpoints:
        if len({_body(endpoint) for endpoint in endpoints}) != 1:
            raise BenchmarkError("the two endpoints do not answer the same")
        for endpoint in endpoints:
            _measure(endpoint, WARM_UP_REQUESTS)
        samples: list[list[Sample]] = [[] for _ in endpoints]
        order = list(zip(endpoints, samples, strict=True))
        for _ in range(rounds):
            for endpoint, taken in order:
                taken.append(_measure(endpoint, requests))
            order.reverse()  # so that none always runs in the other's wake
    return samples


@contextmanager
def _open_endpoints(server_url: str, work_dir: Path) -> Iterator[tuple[Endpoint, Endpoint]]:
    key, encryption = (secrets.token_urlsafe(32), base64.urlsafe_b64encode(os.urandom(32)).decode())
    with (
        own_database(server_url, "auth") as url,
        serve_model(work_dir) as model,
        serve_product(
            f"http://127.0.0.1:{model.port}", url, key, work_dir, encryption_key=encryption
        ) as product,
    ):
        user_id, user_key = _make_user(product, key)
        asyncio.run(_make_sessions(url, KeyRing([encryption]), user_id, work_dir))
        command = [sys.executable, "-m", "bench.bare_sessions", "--database-url", url]
        command += ["--encryption-key", encryption, "--user-id", str(user_id)]
        port = free_port()
        with serve(
            "bare",
            [*command, "--port", str(port)],
            port=port,
            ready_path="/health",
            log_dir=work_dir,
        ) as bare:
            yield Endpoint(served=bare), Endpoint(served=product, key=user_key)


def _make_user(product: Served, root_key: str) -> tuple[int, str]:
    user = _post(product, "/v1/users", root_key, {"username": "bench"})
    issued = _post(product, f"/v1/users/{user['id']}/api-keys", root_key, {"name": "bench"})
    return user["id"], issued["key"]


async def _make_sessions(url: str, key_ring: KeyRing, user_id: int, work_dir: Path) -> None:
    settings = DatabaseSettings(url=SecretStr(url))
    async with (
        open_database(settings, key_ring=key_ring, data_dir=work_dir) as database,
        database.unit_of_work(AccessScope(user_id=user_id)) as uow,
    ):
        for number in range(SESSIONS):
            await uow.sessions.open(secrets.token_hex(16), title=f"The question number {number}")
        await uow.commit()


def _post(product: Served, path: str, key: str, body: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{product.port}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as answer:
        answered: dict[str, Any] = json.load(answer)
    return answered


def _body(endpoint: Endpoint) -> str:
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    url = f"http://127.0.0.1:{endpoint.served.port}{PATH}"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as answer:
        return json.dumps(json.load(answer), sort_keys=True)


def _measure(endpoint: Endpoint, requests: int) -> Sample:
    endpoint.served.settle()
    alone = asyncio.run(_ask(endpoint, requests=requests, at_once=1))
    endpoint.served.settle()
    before = endpoint.served.cpu_seconds()
    crowded = asyncio.run(_ask(endpoint, requests=requests * 2, at_once=AT_ONCE))
    endpoint.served.settle()
    return Sample(
        cpu_ms=(endpoint.served.cpu_seconds() - before) * 1000 / len(crowded),
        alone_ms=statistics.median(alone) * 1000,
        crowded_ms=statistics.median(crowded) * 1000,
    )


async def _ask(endpoint: Endpoint, *, requests: int, at_once: int) -> list[float]:
    """Seconds that each request took, over connections that stay open."""
    latencies: list[float] = []

    async def ask_in_turn(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.served.port)
        for _ in range(count):
            started = time.perf_counter()
            writer.write(endpoint.request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"refused: {head[:60]!r}")
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            latencies.append(time.perf_counter() - started)
        writer.close()

    async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS + requests), asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(ask_in_turn(requests // at_once))
    return latencies


def report(bare: Sequence[Sample], product: Sequence[Sample]) -> float:
    """Prints one line a figure; gives the CPU that the product adds, in ms."""
    added = 0.0
    for name, label in (
        ("cpu_ms", "CPU a request"),
        ("alone_ms", "latency alone"),
        ("crowded_ms", f"latency, {AT_ONCE} at once"),
    ):
        ours, theirs = ([getattr(one, name) for one in many] for many in (product, bare))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        ours_ms, bare_ms = statistics.median(ours), statistics.median(theirs)
        print(
            f"{label:20} bare {bare_ms:6.3f} ms   product {ours_ms:6.3f} ms"
            f"   added {ours_ms - bare_ms:6.3f} ms   ratio {ratio:.2f}"
        )
        added = added or ours_ms - bare_ms
    return added


def main() -> None:
    """Prints what was measured; exits 1 when the doors take more than a whole request may."""
    parser = argparse.ArgumentParser(prog="python -m bench.auth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="one after the other, a round")
    parser.add_argument("--database-url", help="a PostgreSQL server to use (default: embedded)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench.auth: stopped"))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-auth-") as folder,
            open_server(options.database_url, Path(folder)) as database_url,
        ):
            bare, product = compare(
                database_url, Path(folder), rounds=options.rounds, requests=options.requests
            )
    except BenchmarkError as failure:
        sys.exit(f"bench.auth: {failure}")
    sys.exit(report(bare, product) > MUST_CPU_MS)


if __name__ == "__main__":
    main()
