"""Loads the parsers once, and forks into a reading process for each that connects.

A client sends the descriptor of a reading process's socket; its connection lasts as long as that
process. Ends when its standard input does.
"""

import os
import selectors
import signal
import socket
import sys
import traceback

from loaders import worker
from loaders.reading import warm_up


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while sys.stdin not in {key.fileobj for key, _ in selector.select()}:
            client, _ = listener.accept()
            with client:
                _, controls, _, _ = socket.recv_fds(client, 1, 1)
                for control in controls:  # none if the client has died before it sent one
                    if os.fork() == 0:
                        selector.close()
                        listener.close()
                        _read(control)
                    os.close(control)


def _read(control: int) -> None:
    """Be what `python -m loaders.worker` is."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        sys.argv = [worker.__name__, str(control)]
        worker.main()
    except BaseException:  # noqa: BLE001 - the entry point of a process
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
