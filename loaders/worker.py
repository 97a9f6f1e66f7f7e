"""The process that reads files: `python -m loaders.worker FD`, started by `ReaderProcess`.

It loads the parsers that the first message asks for, and forks for each file, so that a file costs
milliseconds and cannot harm the next one. It ends, and its children with it, when the other end of
its socket is closed.
"""

import errno
import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress

from loaders.errors import LoaderError, LoaderLimit, UnreadableDocument
from loaders.file_access import hide_memory
from loaders.isolation import leave_network, refuse_network
from loaders.limits import ReadLimits, apply_limits, grant_cpu
from loaders.ocr_choice import OcrChoice
from loaders.wire import (
    LARGEST_MESSAGE_BYTES,
    Ended,
    KillRequest,
    Progress,
    ReadRequest,
    Ready,
    StartRequest,
    pack,
    pack_document,
    pack_error,
    pack_progress,
    unpack_request,
)
from loaders.work import Work, taking_in_hand

_DESCRIPTORS_PER_REQUEST = 3
_LOWEST_PRIORITY_STEP = 5


def main() -> None:
    """Serve until the server goes away."""
    control = socket.socket(fileno=int(sys.argv[1]))
    has_namespace = leave_network()
    hide_memory()
    try:
        from loaders.reading import warm_up

        request = unpack_request(control.recv(LARGEST_MESSAGE_BYTES))
        if not isinstance(request, StartRequest):
            raise TypeError("the first message says how to start")
        ocr_problem = warm_up(request.ocr)
    except Exception as exc:  # noqa: BLE001 - entry point: the server logs it and gives up
        control.send(pack(Ready(problem=f"{type(exc).__name__}: {exc}"[:1000])))
        return
    if not has_namespace:
        refuse_network()
    gc.collect()
    gc.freeze()
    os.nice(_LOWEST_PRIORITY_STEP)
    control.send(pack(Ready(ocr_problem=ocr_problem)))
    Nursery(control, request.ocr).serve()


class Nursery:
    """The children that read one file each."""

    def __init__(self, control: socket.socket, ocr: OcrChoice) -> None:
        self._control = control
        self._ocr = ocr
        self._children: dict[int, int] = {}

    def serve(self) -> None:
        """Fork and reap until the control socket is closed."""
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                self._reap()
                if self._control in ready and not self._obey():
                    break
        for pid in self._children:
            _kill(pid)

    def _obey(self) -> bool:
        """Carry out one request; False when there will be no more."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(
                self._control, LARGEST_MESSAGE_BYTES, _DESCRIPTORS_PER_REQUEST
            )
        except ConnectionError:
            return False
        if not packet:
            return False
        request = unpack_request(packet)
        if isinstance(request, ReadRequest):
            self._children[self._fork(request, *descriptors)] = request.job
            for descriptor in descriptors:
                os.close(descriptor)
        elif isinstance(request, KillRequest):
            for pid, job in self._children.items():
                if job == request.job:
                    _kill(pid)
        return True

    def _fork(self, request: ReadRequest, source: int, target: int, notes: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                self._control.close()
                os.setsid()
                apply_limits(request.limits, parent=parent)
                with taking_in_hand(_work(request.limits, self._ocr, notes)):
                    _write(target, _answer(source, request.filename))
            finally:
                os._exit(0)
        return pid

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                job = self._children.pop(pid)
                report = Ended(job=job, exit_code=os.waitstatus_to_exitcode(status))
                with suppress(ConnectionError):
                    self._control.send(pack(report))


def _work(limits: ReadLimits, ocr: OcrChoice, notes: int) -> Work:
    def report(done: int, total: int) -> None:
        grant_cpu(limits.seconds)
        os.pwrite(notes, pack_progress(Progress(done=done, total=total)), 0)

    return Work(limits, ocr, report=report)


def _answer(source: int, filename: str) -> bytes:
    from loaders.reading import read_document

    try:
        with os.fdopen(source, "rb") as file:
            file.seek(0)
            data = file.read()
        return pack_document(read_document(data, filename))
    except LoaderError as exc:
        return pack_error(exc)
    except MemoryError:
        return pack_error(LoaderLimit("reading the file takes more memory than allowed"))
    except RecursionError:
        return pack_error(UnreadableDocument("the file is nested too deeply"))
    except Exception as exc:  # noqa: BLE001 - entry point: parsers fail in any way on a bad file
        return pack_error(UnreadableDocument(f"the file cannot be read ({type(exc).__name__})"))


def _write(target: int, answer: bytes) -> None:
    try:
        _write_all(target, answer)
    except OSError as exc:
        if exc.errno != errno.EFBIG:
            raise
        os.ftruncate(target, 0)
        os.lseek(target, 0, os.SEEK_SET)
        _write_all(target, pack_error(LoaderLimit("the file holds more text than allowed")))


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _kill(pid: int) -> None:
    """The child and whatever it started, also when it has not yet become a group of its own."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
