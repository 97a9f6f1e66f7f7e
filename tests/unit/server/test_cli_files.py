"""Which files the command line sends."""

from pathlib import Path

import pytest

from server.cli.ingest import _files


def test_what_is_hidden_in_a_folder_is_left_out_however_one_comes_to_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".hidden/docs/a.txt", ".hidden/docs/.b.txt", ".hidden/docs/.c/d.txt", "here/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")

    assert list(_files([tmp_path / ".hidden" / "docs"])) == [tmp_path / ".hidden/docs/a.txt"]
    assert list(_files([Path("../here")])) == [Path("../here/e")]
