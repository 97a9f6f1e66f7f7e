import hashlib
import os
from pathlib import Path

from graph.llm.embedded.intact_files import is_intact, write_stamp

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def stamped(folder: Path) -> Path:
    path = folder / "file"
    path.write_bytes(CONTENT)
    write_stamp(path, SHA256)
    return path


def test_a_file_that_was_just_stamped_is_intact(tmp_path):
    assert is_intact(stamped(tmp_path), sha256=SHA256)


def test_a_missing_file_is_not_intact(tmp_path):
    assert not is_intact(tmp_path / "file", sha256=SHA256)


def test_a_shortened_file_is_noticed(tmp_path):
    path = stamped(tmp_path)
    path.write_bytes(CONTENT[:-1])
    assert not is_intact(path, sha256=SHA256)


def test_a_changed_file_of_the_same_size_is_noticed(tmp_path):
    path = stamped(tmp_path)
    path.write_bytes(b"weighty")
    os.utime(path, ns=(1, 1))
    assert not is_intact(path, sha256=SHA256)


def test_a_touched_file_with_the_right_bytes_is_intact_and_stamped_again(tmp_path):
    path = stamped(tmp_path)
    os.utime(path, ns=(1, 1))
    assert is_intact(path, sha256=SHA256)
    stamp = path.with_name("file.stamp").read_text(encoding="utf-8")
    assert '"mtime_ns": 1,' in stamp


def test_a_file_without_a_stamp_is_hashed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert is_intact(path, sha256=SHA256)
    assert not is_intact(path, sha256=hashlib.sha256(b"other").hexdigest())


def test_an_unreadable_stamp_is_no_proof(tmp_path):
    path = stamped(tmp_path)
    path.with_name("file.stamp").write_text("{", encoding="utf-8")
    assert not is_intact(path)
    assert is_intact(path, sha256=SHA256)


def test_another_wanted_hash_is_not_met_by_an_old_stamp(tmp_path):
    assert not is_intact(stamped(tmp_path), sha256=hashlib.sha256(b"new").hexdigest())
