"""The searcher for leaks is itself held to finding them."""

import base64
import json
from pathlib import Path

import pytest

from tests.fixtures.plaintext_scan import find_in_folder

PHRASE = "purple elephant perché"


@pytest.mark.parametrize(
    "leak",
    [
        PHRASE.encode(),
        PHRASE.encode("utf-16"),
        PHRASE.encode().hex().encode(),
        json.dumps({"a": [PHRASE]}).encode(),
        *(base64.b64encode(b"x" * before + PHRASE.encode() + b"tail") for before in range(6)),
        *(base64.urlsafe_b64encode(b"\xff" * before + PHRASE.encode()) for before in range(6)),
    ],
)
def test_a_leak_is_found_in_every_form(tmp_path: Path, leak: bytes) -> None:
    (tmp_path / "file").write_bytes(b"before " + leak + b" after")
    assert find_in_folder(tmp_path, PHRASE)


def test_a_leak_in_a_file_name_is_found(tmp_path: Path) -> None:
    (tmp_path / f"{PHRASE}.txt").touch()
    assert find_in_folder(tmp_path, PHRASE)


def test_other_words_are_no_leak(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"purple giraffe")
    assert find_in_folder(tmp_path, PHRASE) == []
