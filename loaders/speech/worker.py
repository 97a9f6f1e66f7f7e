"""The process that transcribes, started by `SpeechWorkerLink`.

`python -m loaders.speech.worker FD MODEL_DIR THREADS MEMORY_MIB NICENESS`

It loads the model once and then takes one recording after the other, without a network, without
rights and within its memory. It ends when the other end of its socket is closed. Whoever waits for
it too long kills it: between two recordings it keeps nothing.
"""

import os
import socket
import sys
from typing import TYPE_CHECKING

from loaders.file_access import hide_memory
from loaders.isolation import leave_network, refuse_network
from loaders.limits import drop_rights, limit_memory
from loaders.speech.errors import AudioEmpty, AudioUnsupported, SpeechError
from loaders.speech.transcript import SpokenSegment, Transcript
from loaders.speech.wire import (
    LENGTH,
    Heard,
    Ready,
    TranscriptionRequest,
    pack,
    unpack_request,
)

if TYPE_CHECKING:
    from loaders.speech.recognition import Recogniser


def main() -> None:
    """Serve until the server goes away."""
    parent = os.getppid()
    control = socket.socket(fileno=int(sys.argv[1]))
    model_dir, threads, memory_mib = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.nice(int(sys.argv[5]))
    has_namespace = leave_network()
    hide_memory()
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
                answer = _answer(recogniser, data, request, control)
            except MemoryError:
                # What is left of this process is worth less than a new one.
                control.sendall(pack(AudioUnsupported("the recording takes too much memory")))
                return
            control.sendall(pack(answer))


def _answer(
    recogniser: "Recogniser", data: bytes, request: TranscriptionRequest, control: socket.socket
) -> Transcript | SpeechError:
    try:
        return _transcribe(recogniser, data, request, control)
    except SpeechError as exc:
        return exc
    except (MemoryError, OSError):
        raise
    except Exception as exc:  # noqa: BLE001 - entry point: decoders fail in any way on a bad file
        return AudioUnsupported(f"the recording cannot be read ({type(exc).__name__})")


def _transcribe(
    recogniser: "Recogniser", data: bytes, request: TranscriptionRequest, control: socket.socket
) -> Transcript:
    """Piece by piece, so that no more than a piece of a recording is ever held as samples."""
    from loaders.speech.decoding import RATE, decode, measure

    length = measure(data, request)
    segments: list[SpokenSegment] = []
    language = None
    seconds = 0.0
    for samples in decode(data, request):
        heard = recogniser.recognise(samples, language=language)
        start, seconds = seconds, seconds + len(samples) / RATE
        if heard is not None:
            language = heard.language
            segments += (_placed(segment, start, seconds) for segment in heard.segments)
        control.sendall(pack(Heard(seconds=seconds, of=max(seconds, length))))
    if language is None:
        raise AudioEmpty("there is no speech in the recording")
    return Transcript(
        text=" ".join(segment.text for segment in segments),
        language=language,
        seconds=round(seconds, 2),
        segments=tuple(segments),
    )


def _placed(segment: SpokenSegment, start: float, end: float) -> SpokenSegment:
    """The segment of a piece within the recording; the model may think that it ends later."""
    return SpokenSegment(
        start=round(min(segment.start + start, end), 2),
        end=round(min(segment.end + start, end), 2),
        text=segment.text,
    )


if __name__ == "__main__":
    main()
