"""Having the index made anew by the process that holds the embedded engine."""

from contextlib import AbstractAsyncContextManager
from dataclasses import asdict

from persistence.database import Database
from persistence.index_holder import Order, Report, ask_holder, serve_holder
from persistence.notifications import Channel, Notifications
from persistence.reindexing import Reindexed, Reindexer, Tell


async def ask_for_reindexing(database: Database, model: str, tell: Tell) -> Reindexed:
    """Have the server make its index anew.

    Raises:
        IndexInUse: It does not answer, or it failed.
        DatabaseUnavailable: The database went away.
    """
    report = await ask_holder(
        database,
        Channel.REINDEXING,
        lambda _: {"model": model},
        tell=lambda report: tell(Reindexed(**report)),
        advice="stop that, and reindex again",
    )
    return Reindexed(**report)


def serve_reindexing(
    database: Database, notifications: Notifications, reindexer: Reindexer
) -> AbstractAsyncContextManager[None]:
    """Make the index anew when it is asked for."""

    async def reindex(order: Order, report: Report) -> None:
        await reindexer.run(str(order["model"]), lambda done: report.update(asdict(done)))

    return serve_holder(database, notifications, Channel.REINDEXING, reindex)
