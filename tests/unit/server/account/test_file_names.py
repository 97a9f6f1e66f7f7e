"""Names for unpacked files: nothing a file system could misread, everything a person can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.account.file_names import FALLBACK, MAX_BYTES, safe_file_name


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("handbook.pdf", "handbook.pdf"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..\\..\\boot.ini", ".._.._boot.ini"),
        ("C:\\Users\\a.txt", "C__Users_a.txt"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("console.txt", "console.txt"),
        ("..", FALLBACK),
        (".", FALLBACK),
        ("", FALLBACK),
        ("  ", FALLBACK),
        ("trailing. . ", "trailing"),
        ("perché è già.txt", "perché è già.txt"),
        ("מסמך.txt", "מסמך.txt"),
        ("مستند.pdf", "مستند.pdf"),
        ("exe\u202etxt.pdf", "exe_txt.pdf"),
        ("family 👨‍👩‍👧.png", "family 👨‍👩‍👧.png"),
        ("line\nbreak\x00.txt", "line_break_.txt"),
        ("half \ud83d.txt", "half _.txt"),
        ('a<b>c:"d|e?f*.txt', "a_b_c__d_e_f_.txt"),
    ],
)
def test_a_name_is_made_safe_and_stays_readable(given_name: str, expected: str):
    assert safe_file_name(given_name) == expected


def test_a_long_name_is_cut_between_characters_and_keeps_its_ending():
    name = safe_file_name("é🦓" * 200 + ".docx")
    assert name.endswith(".docx")
    assert len(name.encode()) <= MAX_BYTES
    assert set(name.removesuffix(".docx")) == {"é", "🦓"}


def test_an_ending_that_is_all_of_the_name_is_cut_too():
    assert len(safe_file_name("a." + "x" * 1000).encode()) <= MAX_BYTES


@given(st.text())
def test_no_name_leaves_its_folder(given_name: str):
    name = safe_file_name(given_name)
    assert name
    assert name not in {".", ".."}
    assert not set(name) & set('/\\:\0<>|?*"')
    assert not name.endswith((".", " "))
    assert len(name.encode()) <= MAX_BYTES + 1
