"""Whether each part is up, asked with a time limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tools.catalog import ToolCatalog

PROBE_TIMEOUT_SECONDS = 3.0
DEGRADED_MS = 1_000.0

Status = Literal["healthy", "degraded", "unhealthy"]
Probe = Callable[[], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class ComponentHealth:
    """How one part answered."""

    status: Status
    latency_ms: float
    detail: str | None = None
    """What is wrong, without anything of a user in it."""


@dataclass(frozen=True, kw_only=True)
class HealthReport:
    """How all parts answered; the whole is as well as its worst needed part."""

    status: Status
    components: dict[str, ComponentHealth]


class HealthService:
    """Probes the parts of the installation."""

    def __init__(self, probes: Mapping[str, Probe], catalog: ToolCatalog) -> None:
        """Args: probes: for each needed part, something that raises when it is down."""
        self._probes = probes
        self._catalog = catalog

    async def report(self) -> HealthReport:
        """Asks all parts at once; takes no longer than the slowest, or the time limit."""
        results = await asyncio.gather(*(_probe(probe) for probe in self._probes.values()))
        components = dict(zip(self._probes, results, strict=True))
        worst = _worst(components)
        for server in self._catalog.servers():
            components[f"mcp:{server.name}"] = ComponentHealth(
                status="healthy" if server.healthy else "unhealthy",
                latency_ms=0.0,
                detail=server.error,
            )
        if worst == "healthy" and _worst(components) != "healthy":
            worst = "degraded"
        return HealthReport(status=worst, components=components)


async def _probe(probe: Probe) -> ComponentHealth:
    started = time.perf_counter()
    detail = None
    status: Status = "healthy"
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            await probe()
    except Exception as exc:  # noqa: BLE001 - whatever a probe raises, the part is not well
        status, detail = "unhealthy", type(exc).__name__
    latency = round((time.perf_counter() - started) * 1000, 1)
    if status == "healthy" and latency > DEGRADED_MS:
        status = "degraded"
    return ComponentHealth(status=status, latency_ms=latency, detail=detail)


def _worst(components: Mapping[str, ComponentHealth]) -> Status:
    found = {component.status for component in components.values()}
    if "unhealthy" in found:
        return "unhealthy"
    return "degraded" if "degraded" in found else "healthy"
