"""The list of sessions as most would serve it: Starlette, asyncpg, and nobody asked who is there.

The same table, the same decryption and the same JSON as the product's, without authentication,
limits, access control or a framework's checks.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from persistence.encryption import KeyRing

POOL_CONNECTIONS = 10
PAGE = 50
LIST = """
SELECT id, user_id, session_hash, session_id, title, thread_id, message_count, created_at,
    updated_at
FROM chat_sessions WHERE user_id = $1 ORDER BY updated_at DESC, id DESC LIMIT $2 OFFSET $3
"""
COUNT = "SELECT count(*) FROM chat_sessions WHERE user_id = $1"


def create_app(database_url: str, key_ring: KeyRing, user_id: int) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(database_url, max_size=POOL_CONNECTIONS) as pool:
            app.state.pool = pool
            yield

    def read(row: asyncpg.Record) -> dict[str, Any]:
        context = f"chat_sessions.session_id/{user_id}"
        name = key_ring.decrypt_json(row["session_id"], context=context)
        context = f"chat_sessions.title/{user_id}"
        title = row["title"] and key_ring.decrypt_json(row["title"], context=context)
        fields = {key: row[key] for key in ("message_count", "created_at", "updated_at")}
        return {"session_id": name, "title": title, **fields}

    async def list_sessions(request: Request) -> Response:
        async with request.app.state.pool.acquire() as connection:
            rows = await connection.fetch(LIST, user_id, PAGE, 0)
            total = len(rows)
            if total == PAGE:
                total = await connection.fetchval(COUNT, user_id)
        page = {"sessions": [read(row) for row in rows], "total": total, "limit": PAGE, "offset": 0}
        body = orjson.dumps(page, option=orjson.OPT_UTC_Z)
        return Response(body, media_type="application/json")

    async def health(_: Request) -> Response:
        return Response(b"ok")

    routes = [Route("/v1/chat/sessions", list_sessions), Route("/health", health)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--encryption-key", required=True)
    parser.add_argument("--user-id", type=int, required=True)
    args = parser.parse_args()
    bare = create_app(args.database_url, KeyRing([args.encryption_key]), args.user_id)
    uvicorn.run(bare, host="127.0.0.1", port=args.port, log_level="warning", access_log=False)
