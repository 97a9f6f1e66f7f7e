"""Which MCP servers the installation has: those of the servers file and those that root added."""

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import ServerNameTaken
from persistence.mcp_records import McpServer
from tools.catalog import read_registry
from tools.config import ServerConfig, StdioServer, parse_server
from tools.errors import McpConfigError
from tools.registry import RegisteredServer
from tools.settings import McpSettings

_SYSTEM = AccessScope.system("which MCP servers there are")

log = structlog.get_logger(__name__)


class ServerRegistry:
    """Puts together what the servers file and the database say.

    The file says how its servers are reached; whether they are switched on, and for which groups,
    the database says of all. A server that has left the file keeps what was decided about it.
    """

    def __init__(self, database: Database, settings: McpSettings) -> None:
        self._database = database
        self._settings = settings
        self._of_file: dict[str, RegisteredServer] = {}

    async def open(self) -> list[RegisteredServer]:
        """Read all of it for the first time.

        Raises:
            McpConfigError: The servers file cannot be used.
            PersistenceError: The database does not say.
        """
        self._of_file = {each.name: each for each in await read_registry(self._settings)}
        return await self._merge()

    async def read(self) -> list[RegisteredServer]:
        """Read all of it again; a servers file that cannot be used any more counts as before.

        Raises:
            PersistenceError: The database does not say.
        """
        try:
            return await self.open()
        except McpConfigError as exc:
            log.warning("mcp_servers_file_unusable", reason=str(exc))
            return await self._merge()

    def config_in_file(self, name: str) -> ServerConfig | None:
        """How a server of the servers file is reached; None if it is not in there."""
        server = self._of_file.get(name)
        return None if server is None else server.config

    async def _merge(self) -> list[RegisteredServer]:
        rows = {row.name: row for row in await self._rows()}
        merged = []
        for server in self._of_file.values():
            row = rows.get(server.name)
            if row is None or row.source != "file":
                # Whoever had the name first keeps what was decided under it.
                log.warning("mcp_server_name_taken", server=server.name)
                continue
            merged.append(_of_row(row, server))
        added = [self._parse(row) for row in rows.values() if row.source == "api"]
        return merged + [server for server in added if server is not None]

    def _parse(self, row: McpServer) -> RegisteredServer | None:
        try:
            config = parse_server(row.name, row.config)
        except McpConfigError as exc:
            log.error("mcp_server_unusable", server=row.name, reason=str(exc))
            return None
        if isinstance(config, StdioServer) and not self._settings.allow_stdio_by_api:
            log.warning("mcp_server_not_allowed", server=row.name)
            return None
        return RegisteredServer(
            name=row.name,
            source=row.source,
            id=row.id,
            config=config,
            groups=row.groups,
            is_enabled=row.enabled,
        )

    async def _rows(self) -> list[McpServer]:
        async with self._database.unit_of_work(_SYSTEM) as uow:
            rows = list(await uow.mcp_servers.all())
            known = {row.name.casefold() for row in rows}
            new = [name for name in self._of_file if name.casefold() not in known]
            for name in new:
                try:
                    rows.append(await uow.mcp_servers.create(name, source="file", config={}))
                except ServerNameTaken:  # by another process that has just read the same file
                    rows = list(await uow.mcp_servers.all())
            if new:
                await uow.commit()
        return rows


def _of_row(row: McpServer, server: RegisteredServer) -> RegisteredServer:
    return RegisteredServer(
        name=row.name,
        source=row.source,
        id=row.id,
        config=server.config,
        groups=row.groups,
        is_enabled=row.enabled,
    )
