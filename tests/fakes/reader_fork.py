"""Stands for a reading process that is a fork: hands it the socket, and ends when it does."""

import socket
import sys


def main() -> None:
    address, control = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as nursery:
        nursery.connect(address)
        with socket.socket(fileno=int(control)) as given:
            socket.send_fds(nursery, [b"."], [given.fileno()])
        nursery.recv(1)


if __name__ == "__main__":
    main()
