"""The health routes."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from server.dependencies import provided
from server.error_responses import responses
from server.errors import NotAuthorized
from server.health.service import HealthService
from server.routing import PolicedRoute

router = APIRouter(tags=["health"], route_class=PolicedRoute)
Health = Annotated[HealthService, Depends(provided(HealthService))]

HealthStatus = Literal["healthy", "degraded", "unhealthy"]


class Liveness(BaseModel):
    """The server answers; says nothing of its parts."""

    status: Literal["ok"]
    timestamp: datetime


class ComponentAnswer(BaseModel):
    """How one part answered."""

    status: HealthStatus
    latency_ms: float
    detail: str | None


class HealthAnswer(BaseModel):
    """How all parts answered."""

    status: HealthStatus
    timestamp: datetime
    components: dict[str, ComponentAnswer]


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Is the server up?")
async def live() -> Liveness:
    """Needs no authentication and gives no detail."""
    return Liveness(status="ok", timestamp=datetime.now(UTC))


@router.get(
    "/health/detailed", summary="Are its parts up? (root)", responses=responses(NotAuthorized)
)
async def detailed(health: Health) -> HealthAnswer:
    """Asks the database, the document index, the models and the MCP servers."""
    report = await health.report()
    return HealthAnswer.model_validate(
        {
            "status": report.status,
            "timestamp": datetime.now(UTC),
            "components": {
                name: ComponentAnswer.model_validate(component, from_attributes=True)
                for name, component in report.components.items()
            },
        }
    )
