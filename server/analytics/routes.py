"""The analytics routes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from server.analytics import figures
from server.analytics.schemas import (
    Dashboard,
    IngestionUsage,
    SessionUsage,
    TokenQuery,
    TokenUsage,
    ToolsUsage,
    UsageQuery,
)
from server.analytics.service import AnalyticsService
from server.dependencies import Caller, SessionPath, provided
from server.error_responses import responses
from server.errors import BadRequest, NotAuthorized, ResourceNotFound
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1/analytics", tags=["analytics"], route_class=PolicedRoute)
Analytics = Annotated[AnalyticsService, Depends(provided(AnalyticsService))]
Asked = Annotated[UsageQuery, Query()]
_REFUSALS = responses(BadRequest, NotAuthorized, ResourceNotFound)


@router.get("/dashboard", summary="The figures at a glance", responses=_REFUSALS)
async def read_dashboard(query: Asked, caller: Caller, analytics: Analytics) -> Dashboard:
    """One's own figures; a group's for its admins, if it has three others; everybody's for root."""
    span, report = await analytics.report(caller, query)
    return Dashboard(
        **figures.frame(span),
        metrics=figures.metrics(report),
        top_tools=figures.tools(report)[: figures.TOP_TOOLS],
        daily_breakdown=figures.periods(report),
    )


@router.get("/tokens", summary="Tokens, by model and by period", responses=_REFUSALS)
async def read_tokens(
    query: Annotated[TokenQuery, Query()], caller: Caller, analytics: Analytics
) -> TokenUsage:
    """Those of calls that were broken off are estimated."""
    span, report = await analytics.report(caller, query, only=query.model)
    models = figures.models(report)
    return TokenUsage(
        **figures.frame(span),
        tokens_in=sum(each.tokens_in for each in models),
        tokens_out=sum(each.tokens_out for each in models),
        by_model=models,
        breakdown=figures.period_tokens(report),
    )


@router.get("/tools", summary="How tools were used, the most used first", responses=_REFUSALS)
async def read_tools(query: Asked, caller: Caller, analytics: Analytics) -> ToolsUsage:
    """Calls that were refused before they were made do not count."""
    span, report = await analytics.report(caller, query)
    return ToolsUsage(**figures.frame(span), tools=figures.tools(report))


@router.get("/ingestion", summary="What became of files", responses=_REFUSALS)
async def read_ingestion(query: Asked, caller: Caller, analytics: Analytics) -> IngestionUsage:
    """Each file counts on the day on which it came to its end."""
    span, report = await analytics.report(caller, query)
    return IngestionUsage(**figures.frame(span), **figures.ingestion(report))


@router.get(
    "/sessions/{session_id}",
    summary="The figures of one of one's sessions",
    responses=responses(ResourceNotFound),
)
async def read_session(
    session_id: SessionPath, caller: Caller, analytics: Analytics
) -> SessionUsage:
    """As the session is now: messages that were deleted do not count."""
    return figures.session(await analytics.session(caller, session_id))
