"""The process that transcribes: `python -m loaders.speech.worker FD MODEL_DIR THREADS MEMORY_MIB`.

It loads the model once and then takes one recording after the other, without a network, without
rights and within its memory. It ends when the other end of its socket is closed. Whoever waits for
it too long kills it: between two recordings it keeps nothing.
"""

import os
import socket
import sys
from typing import TYPE_CHECKING

from loaders.isolation import leave_network, refuse_network
from loaders.limits import drop_rights, limit_memory
from loaders.speech.errors import AudioUnsupported, SpeechError
from loaders.speech.transcript import Transcript
from loaders.speech.wire import LENGTH, Ready, TranscriptionRequest, pack, unpack_request

if TYPE_CHECKING:
    from loaders.speech.recognition import Recogniser


def main() -> None:
    """Serve until the server goes away."""
    parent = os.getppid()
    control = socket.socket(fileno=int(sys.argv[1]))
    model_dir, threads, memory_mib = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    has_namespace = leave_network()
    try:
        from loaders.speech.recognition import Recogniser

        recogniser = Recogniser(model_dir, threads=threads)
        recogniser.warm_up()
    except Exception as exc:  # noqa: BLE001 - entry point: the server logs it and gives up
        control.sendall(pack(Ready(problem=f"{type(exc).__name__}: {exc}"[:1000])))
        return
    if not has_namespace:
        refuse_network()
    limit_memory(memory_mib)
    drop_rights(parent=parent)
    control.sendall(pack(Ready()))
    with control.makefile("rb") as stream:
        while header := stream.read(LENGTH.size):
            request = unpack_request(stream.read(*LENGTH.unpack(header)))
            data = stream.read(request.size)
            if len(data) < request.size:
                return
            try:
                answer = _answer(recogniser, data, request)
            except MemoryError:
                # What is left of this process is worth less than a new one.
                control.sendall(pack(AudioUnsupported("the recording takes too much memory")))
                return
            control.sendall(pack(answer))


def _answer(
    recogniser: "Recogniser", data: bytes, request: TranscriptionRequest
) -> Transcript | SpeechError:
    from loaders.speech.decoding import decode

    try:
        return recogniser.transcribe(decode(data, request))
    except SpeechError as exc:
        return exc
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - entry point: decoders fail in any way on a bad file
        return AudioUnsupported(f"the recording cannot be read ({type(exc).__name__})")


if __name__ == "__main__":
    main()
