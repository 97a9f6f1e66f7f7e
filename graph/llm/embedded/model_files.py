"""The files of the embedded models, made ready in the cache before a child process loads them."""

import asyncio
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.folder_lock import lock_folder
from graph.llm.embedded.intact_files import hash_file, is_intact, write_stamp
from graph.llm.embedded.settings import EMBED_MODEL, SPEECH_MODEL
from graph.llm.embedded.weight_files import load_weight_files
from graph.llm.embedded.weights import Report, ensure_weights, log_progress

BUILD_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """Where the child finds what it loads."""

    chat: Path
    """Weights of the chat model, GGUF."""
    embedding: Path
    """The embedding model, ONNX."""
    tokenizer: Path
    """Of the embedding model."""


async def prepare_models(
    chat_model: str, *, models_dir: Path, report: Report = log_progress
) -> ModelFiles:
    """Fetch, check and build what is missing.

    Raises:
        WeightsUnavailable: Something could not be fetched, checked, built or stored.
    """
    known = load_weight_files()
    chat = await ensure_weights(known[chat_model], models_dir=models_dir, report=report)
    archive = await ensure_weights(known[EMBED_MODEL], models_dir=models_dir, report=report)
    # The name carries the source's hash: other tensors never pass for these.
    stem = f"all-minilm-{known[EMBED_MODEL].sha256[:12]}"
    files = ModelFiles(
        chat=chat,
        embedding=models_dir / f"{stem}.onnx",
        tokenizer=models_dir / f"{stem}.tokenizer.json",
    )
    if await asyncio.to_thread(_are_intact, files):
        return files
    try:
        async with lock_folder(models_dir):
            if not await asyncio.to_thread(_are_intact, files):
                report(f"weights: {EMBED_MODEL} is being built")
                await _build(archive, files)
    except OSError as error:
        raise WeightsUnavailable(
            f"The embedding model cannot be built in {str(models_dir)!r}: {error}"
        ) from error
    return files


async def prepare_speech_model(*, models_dir: Path, report: Report = log_progress) -> Path:
    """The folder of the speech model; whoever transcribes asks for it, this child does not.

    Raises:
        WeightsUnavailable: It could not be fetched, checked or stored.
    """
    weights = load_weight_files()[SPEECH_MODEL]
    return (await ensure_weights(weights, models_dir=models_dir, report=report)).parent


def _are_intact(files: ModelFiles) -> bool:
    return is_intact(files.embedding) and is_intact(files.tokenizer)


async def _build(archive: Path, files: ModelFiles) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".build-") as folder:
        tensors, tokenizer = Path(folder, "tensors"), Path(folder, "tokenizer")
        await asyncio.to_thread(_unpack, archive, tensors=tensors, tokenizer=tokenizer)
        model = Path(folder, "model.onnx")
        await _build_onnx(tensors, model)
        await asyncio.to_thread(_keep, model, files.embedding)
        await asyncio.to_thread(_keep, tokenizer, files.tokenizer)


def _unpack(archive: Path, *, tensors: Path, tokenizer: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        tensors.write_bytes(content.read("model.safetensors"))
        tokenizer.write_bytes(content.read("tokenizer.json"))


def _keep(draft: Path, path: Path) -> None:
    sha256 = hash_file(draft)
    draft.replace(path)
    write_stamp(path, sha256)


async def _build_onnx(tensors: Path, model: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "graph.llm.embedded.minilm_onnx",
        str(tensors),
        str(model),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BUILD_TIMEOUT_SECONDS):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        reason = said.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise WeightsUnavailable(f"The embedding model could not be built: {reason}")
