"""The child process: `python -m graph.llm.embedded SOCKET`, orders on standard input.

Started by `supervisor`; says `ready` on standard output when it accepts requests.
"""

import asyncio
import os
import signal
import socket
import sys
import threading

from graph.llm.embedded.lifeline import watch_parent
from graph.llm.embedded.orders import Orders

FORCED_END_SECONDS = 2.0


def main() -> None:
    """Serve until the parent lets go."""
    orders = Orders.parse(sys.stdin.buffer.readline())
    listener = socket.socket(fileno=int(sys.argv[1]))
    # Ctrl-C reaches the whole group of processes; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(orders, listener))
    # llama.cpp has no way to be stopped: leave without waiting for its threads.
    os._exit(0)


async def _serve(orders: Orders, listener: socket.socket) -> None:
    from graph.llm.embedded.serving import open_app

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    def let_go() -> None:
        # A loop that is busy must not keep an orphan alive.
        timer = threading.Timer(FORCED_END_SECONDS, os._exit, [1])
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(stopped.set)

    watch_parent(orders.parent_pid, let_go)
    async with open_app(orders, listener):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
