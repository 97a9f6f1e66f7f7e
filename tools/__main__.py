"""`python -m tools serve NAME`: one built-in server in a process of its own."""

import argparse
import asyncio
import logging

from tools.servers import datetime_, units
from tools.serving import HTTP_PATH, serve_http, serve_stdio

_BUILDERS = {
    datetime_.NAME: datetime_.build_datetime_server,
    units.NAME: units.build_units_server,
}
DEFAULT_PORT = 8765


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve one built-in server")
    serve.add_argument("name", choices=sorted(_BUILDERS))
    serve.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"for http; the path is {HTTP_PATH}"
    )
    options = parser.parse_args()
    # The SDK logs what it cannot read, and a stack trace for each client that leaves.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    server = _BUILDERS[options.name]()
    if options.transport == "stdio":
        asyncio.run(serve_stdio(server))
    else:
        asyncio.run(serve_http(server, host=options.host, port=options.port))


if __name__ == "__main__":
    main()
