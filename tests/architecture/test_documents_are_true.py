"""What the repository says of itself is held to the code."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from server.settings import Settings

ROOT = Path(__file__).parents[2]
LONG_TEXT = "…"
"""Stands in .env.example for a default that is too long to show."""


def described_settings() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    found = [re.fullmatch(r"#([A-Z][A-Z0-9_]*)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        full = f"{prefix}{name}".upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings_of(kind, f"{full}__")
        else:
            yield full, field.get_default(call_default_factory=True)


def as_written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "[]"
    return str(value)


def test_the_example_environment_names_every_setting_with_its_default():
    described = described_settings()
    actual = {name: as_written(value) for name, value in settings_of(Settings)}
    assert described.keys() == actual.keys()
    wrong = {
        name: (written, actual[name])
        for name, written in described.items()
        if written not in (actual[name], LONG_TEXT)
    }
    assert wrong == {}


def test_the_example_environment_uncommented_is_what_holds_without_it(tmp_path):
    lines = [f"{name}={text}" for name, text in described_settings().items() if text != LONG_TEXT]
    file = tmp_path / ".env"
    file.write_text("\n".join(lines), "utf-8")
    assert Settings(_env_file=file) == Settings(_env_file=None)


def test_every_setting_that_holds_a_secret_hides_it():
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for inner, inner_field in kind.model_fields.items():
                if re.search(r"(api_key|secret)$", inner) or (name, inner) == ("database", "url"):
                    assert inner_field.annotation == SecretStr | None, f"{name}.{inner}"


def test_every_decision_is_in_the_index_and_has_its_four_parts():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    records = sorted(folder.glob("[0-9]*.md"))
    assert records
    for number, record in enumerate(records, 1):
        assert record.name.startswith(f"{number:04}-")
        assert f"({record.name})" in index
        text = record.read_text("utf-8")
        if "| library |" not in text:
            for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Weighed.**"):
                assert part in text, record.name


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_names_every_make_target():
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        # Inside `make test` the inner make would speak of its level.
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    targets = [line.split()[0] for line in listed.splitlines()]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {"help", "run", "test", "check", "bench", "evals"} <= set(targets)
    assert [target for target in targets if f"make {target}" not in readme] == []


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "requirements-dev.lock", "requirements-evals.lock"]
)
def test_a_lock_pins_everything_with_hashes_and_names_no_address(lock):
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9][^\n]*", text, re.MULTILINE)
    assert pins
    assert [pin for pin in pins if "==" not in pin] == []
    assert text.count("--hash=sha256:") >= len(pins)
