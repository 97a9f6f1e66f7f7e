"""Latin letters in one byte each: which of the encodings for them a text is in.

Statistics of letters take long Portuguese texts for Romanian and Finnish ones for Baltic. Which
letters a language has is certain: in a wrong encoding a text has others, or signs within words.
"""

import re
from collections import Counter

_WESTERN = "cp1252"
_CENTRAL = ("cp1250", "iso8859_2")
_ALPHABETS = (
    ("àâæçéèêëîïôœùûüÿ", (_WESTERN,)),  # French
    ("äöüßé", (_WESTERN,)),  # German
    ("áéíóúüñ", (_WESTERN,)),  # Spanish, Galician, Irish
    ("áâãàçéêíóôõú", (_WESTERN,)),  # Portuguese
    ("àèéìíîòóùú", (_WESTERN,)),  # Italian
    ("åäöéæø", (_WESTERN,)),  # Swedish, Finnish, Danish, Norwegian
    ("áðéíóúýþæö", (_WESTERN,)),  # Icelandic
    ("áèéëïóöü", (_WESTERN,)),  # Dutch
    ("àçèéíïòóúü", (_WESTERN,)),  # Catalan
    ("äöõüšž", (_WESTERN,)),  # Estonian
    ("ąćęłńóśźż", _CENTRAL),  # Polish
    ("áäčďéěíĺľňóôŕřšťúůýž", _CENTRAL),  # Czech, Slovak
    ("áéíóöőúüű", _CENTRAL),  # Hungarian
    ("čćđšž", _CENTRAL),  # Croatian, Slovenian
    ("ăâîşţ", _CENTRAL),  # Romanian
    ("çğıöşüâîû", ("cp1254",)),  # Turkish
    ("ąčęėįšųūž", ("cp1257",)),  # Lithuanian
    ("āčēģīķļņšūž", ("cp1257",)),  # Latvian
)
"""What languages write besides the plain letters, and where; what is likelier comes first."""
_FITTING_SHARE = 0.95
_LETTERS_TO_BE_SURE = 10
_KINDS_TO_BE_SURE = 3
_SHARE_OF_LETTERS_TO_BE_SURE = 0.02
"""Fewer may be foreign names in an English text."""
_ACCENTED = re.compile(r"[^\W\d_ªºµ\x00-\x7f]")
_LETTER = re.compile(r"[^\W\d_]")
_SIGN_IN_A_WORD = re.compile(r"(?<=[^\W\d_])[^\w\x00-\x7f\xa0\xad´·‘’“”«»–—…]|[¹²³](?=[^\W\d_])")


def latin_encoding(sample: bytes) -> str:
    """The western encoding, unless the letters are those of a language that has another one."""
    texts = {
        encoding: _Letters(sample, encoding)
        for encoding in dict.fromkeys(each for _, among in _ALPHABETS for each in among)
    }
    if not texts[_WESTERN].may_be_of_another:
        return _WESTERN
    best, found = _FITTING_SHARE, _WESTERN
    for alphabet, among in _ALPHABETS:
        for encoding in among:
            share = texts[encoding].share_in(alphabet)
            if share > best:
                best, found = share, encoding
    return found


class _Letters:
    """The accented letters of a text, and the signs that stand where letters should."""

    def __init__(self, sample: bytes, encoding: str) -> None:
        text = sample.decode(encoding, "replace")
        self._are_known = "\ufffd" not in text
        self._plain_and_accented = len(_LETTER.findall(text))
        self._accented = Counter(_ACCENTED.findall(text.lower()))
        self._signs = len(_SIGN_IN_A_WORD.findall(text))

    @property
    def may_be_of_another(self) -> bool:
        """Whether there are enough to tell a language by them, or some are none at all."""
        if not self._are_known:
            return True
        most = max(_LETTERS_TO_BE_SURE, _SHARE_OF_LETTERS_TO_BE_SURE * self._plain_and_accented)
        found = self._accented.total() + self._signs
        return found >= most and len(self._accented) + bool(self._signs) >= _KINDS_TO_BE_SURE

    def share_in(self, alphabet: str) -> float:
        """How much of all is of a language."""
        fitting = sum(self._accented[letter] for letter in alphabet)
        return fitting / max(1, self._accented.total() + self._signs)
