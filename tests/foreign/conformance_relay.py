"""A client as the conformance suite starts one, which has somebody else be the client.

Says at a port of this machine, which comes first, where the suite's server is (its URL comes last)
and what the suite knows besides, and ends when the connection does.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Tell, and wait."""
    known = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        connection.sendall(json.dumps({"url": sys.argv[-1], **known}).encode() + b"\n")
        while connection.recv(1):
            pass


if __name__ == "__main__":
    main()
