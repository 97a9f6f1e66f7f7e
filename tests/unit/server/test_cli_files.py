"""Which files the command line sends."""

from pathlib import Path

import pytest

from server.cli.connection import ApiFailure
from server.cli.local_files import LocalFiles


def test_what_is_hidden_in_a_folder_is_left_out_however_one_comes_to_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".hidden/docs/a.txt", ".hidden/docs/.b.txt", ".hidden/docs/.c/d.txt", "here/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")

    found = LocalFiles([tmp_path / ".hidden" / "docs"])
    assert found.files == [tmp_path / ".hidden/docs/a.txt"]
    assert found.left_out == "Left out: 2 × hidden file or folder."
    assert LocalFiles([Path("../here")]).files == [Path("../here/e")]


def test_a_link_in_a_folder_is_not_followed_and_is_told_of(tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "secret.txt"
    inside = tmp_path / "inside" / "note.txt"
    for file in (outside, inside):
        file.parent.mkdir()
        file.touch()
    (inside.parent / "file.txt").symlink_to(outside)
    (inside.parent / "folder").symlink_to(outside.parent)

    found = LocalFiles([inside.parent])

    assert found.files == [inside]
    assert found.left_out == "Left out: 2 × link."
    inside.unlink()
    with pytest.raises(ApiFailure, match=r"no file at these paths\. Left out: 2 × link"):
        LocalFiles([inside.parent])
