"""The tools `search` and `read`: passages of the documents that a principal may see."""

from functools import partial

from server.documents.schemas import QUERY_MAX_CHARS
from server.documents.service import DocumentService
from server.security.principal import Principal
from tools.errors import ToolRefused
from tools.servers.offering import Answer, Offer, Parameter, Request
from tools.servers.semantic import NOTHING_FOUND, SOURCE_ID_MAX_CHARS, quote_passages

DEFAULT_PASSAGES = 6
MOST_PASSAGES = 20


class DocumentTools:
    """Searches and reads for one principal at a time."""

    def __init__(self, documents: DocumentService) -> None:
        self._documents = documents

    def offers(self, principal: Principal) -> list[Offer]:
        """The tools, for a principal."""
        return [
            Offer(
                name="search",
                description="Search the documents in YouWorker that the user may see: files, "
                "policies, contracts, notes. Answers with passages and their ids.",
                parameters={
                    "query": Parameter(
                        type="string", description="What to look for, in plain words."
                    ),
                    "limit": Parameter(
                        type="number",
                        description=f"How many passages at most, up to {MOST_PASSAGES}.",
                        default=DEFAULT_PASSAGES,
                    ),
                },
                run=partial(self._search, principal),
            ),
            Offer(
                name="read",
                description="Read one passage that a search or an answer has named, as it is now.",
                parameters={"source_id": Parameter(type="string", description="The passage's id.")},
                run=partial(self._read, principal),
            ),
        ]

    async def _search(self, principal: Principal, request: Request) -> Answer:
        query, limit = request.arguments["query"], request.arguments["limit"]
        if not query.strip():
            raise ToolRefused("The query is empty: say what to look for.")
        if len(query) > QUERY_MAX_CHARS:
            raise ToolRefused(f"The query is longer than {QUERY_MAX_CHARS} characters: shorten it.")
        if not 1 <= limit <= MOST_PASSAGES:
            raise ToolRefused(f"The limit must be from 1 to {MOST_PASSAGES}.")
        found = await self._documents.search(principal, query, limit=int(limit))
        if not found.passages:
            return Answer(text=NOTHING_FOUND, structured={"sources": []})
        return quote_passages(found.passages)

    async def _read(self, principal: Principal, request: Request) -> Answer:
        source_id = request.arguments["source_id"].strip()
        if not source_id or len(source_id) > SOURCE_ID_MAX_CHARS:
            raise ToolRefused("That is not a source id: take one from a search result.")
        opened = await self._documents.open_source(principal, source_id)
        return quote_passages([opened.passage])
