"""Taking out of a page the text that nobody sees on it: it can carry orders to the model."""

from collections.abc import Sequence

from loaders.formats.pdf.layers import Layers
from loaders.formats.pdf.painting import Box, Drawn, overlap

_SMALLEST_LETTERS_POINTS = 1.0


def remove_hidden(drawn: Sequence[Drawn], paper: Box, layers: Layers, *, is_scan: bool) -> None:
    """Take out text that is not painted, white on paper, too small to see, or beside the page.

    So is what stands on a layer that is switched off. On a scanned page the recognised
    words lie unpainted over the picture: there they are the text.
    """
    texts = [each for each in drawn if each.is_text]
    painted = [each for each in texts if each.is_painted]
    layer_is_text = is_scan and len(painted) < len(texts) - len(painted)
    for text in texts:
        is_off = _is_out_of_sight(text, paper) or layers.hide(text)
        if is_off or not (layer_is_text or text.is_painted):
            text.hide()
    _hide_white(painted, drawn)


def _is_out_of_sight(text: Drawn, paper: Box) -> bool:
    left, bottom, right, top = text.box
    if right <= paper[0] or left >= paper[2] or top <= paper[1] or bottom >= paper[3]:
        return True
    # A dash is low, and some fonts have units of their own: neither alone makes letters tiny.
    return top - bottom < _SMALLEST_LETTERS_POINTS and text.letter_points < _SMALLEST_LETTERS_POINTS


def _hide_white(painted: Sequence[Drawn], drawn: Sequence[Drawn]) -> None:
    """White on something coloured is a heading of a table and stays."""
    filled = [each for each in painted if each.is_filled]
    white = [each for each in filled if each.is_white]
    grounds = [each.box for each in drawn if each.hides_paper] if white else []
    for text in filled:
        if text.is_transparent:
            text.hide()
    for text in white:
        if not any(overlap(text.box, ground) for ground in grounds):
            text.hide()
