"""Signs that a document names by their place in a font of signs, as Unicode has them."""

from itertools import chain

_SYMBOL_LETTERS = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", "αβχδεφγηιϕκλμνοπθρστυϖωξψζ"
_SYMBOL_SIGNS = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"
_FONTS = {
    "symbol": {
        **dict(zip(chain(range(0x41, 0x5B), range(0x61, 0x7B)), "".join(_SYMBOL_LETTERS),
                   strict=True)),
        **dict(enumerate(_SYMBOL_SIGNS, start=0xA0)),
        0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "∗", 0x2D: "−", 0x40: "≅", 0x5C: "∴", 0x5E: "⊥",
        0x7E: "∼", 0xF2: "∫",
    },
    "wingdings": {
        0x4A: "☺", 0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x72: "❒", 0x76: "❖", 0x9F: "•",
        0xA7: "▪", 0xA8: "◻", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔",
        0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
    },
}  # fmt: skip
"""By the font's name and the place of a sign in it."""
_PRIVATE = range(0xF000, 0xF100)
"""Where programs keep the signs of such fonts."""
_PLAIN = range(0x20, 0x7F)


def read_symbol(font: str, code: str) -> str:
    """The sign with a hexadecimal code in a font; empty where nobody knows what it is."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    place = number - _PRIVATE.start if number in _PRIVATE else number
    known = _FONTS.get(font.lower())
    if known is not None:
        return known.get(place, chr(place) if place in _PLAIN and font.lower() == "symbol" else "")
    is_character = number not in _PRIVATE and number < 0xD800 and chr(number).isprintable()
    return chr(number) if is_character else ""
