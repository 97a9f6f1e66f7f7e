"""`python -m tools serve NAME`: one built-in server in a process of its own."""

import argparse
import asyncio
import logging
import sys

import structlog
from pydantic import ValidationError

from persistence.errors import PersistenceError
from tools.errors import ToolsError
from tools.serving import HTTP_PATH, serve_http, serve_stdio
from tools.standalone import NEEDS, OPENERS, StandaloneSettings

DEFAULT_PORT = 8765


def main() -> None:
    """Parse the command line and serve."""
    options = _parser().parse_args()
    # The SDK logs what it cannot read, and a stack trace for each client that leaves.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    # Over stdio the output is the protocol's.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(_serve(options))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        name = "__".join(str(part) for part in fault["loc"]).upper()
        raise SystemExit(f"{name} is not usable: {fault['msg']}.") from None
    except (ToolsError, PersistenceError) as error:
        raise SystemExit(f"{options.name} cannot be served: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve one built-in server",
        epilog=NEEDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("name", choices=sorted(OPENERS))
    serve.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"for http; the path is {HTTP_PATH}"
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    async with OPENERS[options.name](StandaloneSettings()) as server:
        if options.transport == "stdio":
            await serve_stdio(server)
        else:
            await serve_http(server, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
