"""Figures for those who may see them."""

from datetime import UTC, date, datetime, timedelta

from persistence.database import Database
from persistence.errors import NotFound
from persistence.usage_records import Period, SessionFigures, UsageReport, UsageSpan
from server.analytics.schemas import UsageQuery
from server.errors import BadRequest, NotAuthorized, ResourceNotFound
from server.security.principal import Principal

SPAN_MAX_DAYS = 3_660
_USUAL_DAYS: dict[Period, int] = {"day": 30, "week": 12 * 7, "month": 365}


class AnalyticsService:
    """Reads what was used, by the caller, by a group of the caller's, or by everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(
        self, principal: Principal, query: UsageQuery, *, only: str | None = None
    ) -> tuple[UsageSpan, UsageReport]:
        """What was used in the days that are asked about.

        Args:
            principal: Who asks.
            query: About whom, and when.
            only: The one name that counts, of a model for example.

        Raises:
            BadRequest: The days make no span, or a very long one, or whose figures is not clear.
            NotAuthorized: They are everybody's, and the principal is not root.
            ResourceNotFound: The principal does not administer the group.
        """
        span = choose_span(query, today=datetime.now(UTC).date())
        is_root = principal.user.is_root
        if query.group_id is not None and query.view is not None:
            raise BadRequest("'group_id' and 'view' exclude each other.")
        if query.view == "all" and not is_root:
            raise NotAuthorized
        async with self._database.unit_of_work(principal.scope) as uow:
            if query.group_id is not None:
                try:
                    report = await uow.usage.of_group(query.group_id, span, only=only)
                except NotFound as exc:
                    raise ResourceNotFound from exc
            elif is_root and query.view != "own":
                report = await uow.usage.of_all(span, only=only)
            else:
                report = await uow.usage.own(span, only=only)
        return span, report

    async def session(self, principal: Principal, session_id: str) -> SessionFigures:
        """The figures of one of the principal's sessions.

        Raises:
            ResourceNotFound: The principal has none of that name.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                session = await uow.sessions.get(session_id)
            except NotFound as exc:
                raise ResourceNotFound from exc
            return await uow.usage.of_session(session)


def choose_span(query: UsageQuery, *, today: date) -> UsageSpan:
    """The days that are meant.

    Raises:
        BadRequest: The first comes after the last, or there are too many.
    """
    last = query.end_date or today
    try:
        first = query.start_date or last - timedelta(days=_USUAL_DAYS[query.period] - 1)
    except OverflowError as exc:
        raise BadRequest("'end_date' is too early.") from exc
    if first > last:
        raise BadRequest("'start_date' comes after 'end_date'.")
    if (last - first).days >= SPAN_MAX_DAYS:
        raise BadRequest(f"Ask about {SPAN_MAX_DAYS} days at most.")
    return UsageSpan(first=first, last=last, period=query.period)
