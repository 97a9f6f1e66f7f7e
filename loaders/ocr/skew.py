"""Turning pages straight that were laid on the scanner askew."""

from itertools import pairwise

from PIL import Image

_LOOKED_AT_PIXELS = (700, 700)
_STEPS_PER_DEGREE = 2
_MOST_DEGREES = 5
_CLEARLY = 1.5
_NARROWEST = 10
_WHITE = 255


def straighten(picture: Image.Image) -> Image.Image:
    """The grey picture turned by a few degrees, if its lines then run along its edges.

    Along lines of text, rows of dots are dark and light in turn; across them, all are alike.
    """
    if max(picture.size) > _NARROWEST * min(picture.size):  # no page, and too wide when turned
        return picture
    small = picture.copy()
    small.thumbnail(_LOOKED_AT_PIXELS, Image.Resampling.BOX)
    farthest = _MOST_DEGREES * _STEPS_PER_DEGREE
    contrasts = {step: _contrast(_turned(small, step)) for step in range(-farthest, farthest + 1)}
    best = max(contrasts, key=contrasts.__getitem__)
    if contrasts[best] < _CLEARLY * contrasts[0]:
        return picture
    return _turned(picture, best, expand=True)


def _turned(picture: Image.Image, step: int, *, expand: bool = False) -> Image.Image:
    return picture.rotate(
        step / _STEPS_PER_DEGREE, Image.Resampling.BILINEAR, expand=expand, fillcolor=_WHITE
    )


def _contrast(picture: Image.Image) -> int:
    """Between neighbouring rows, or neighbouring columns if that is more."""
    rows = picture.resize((1, picture.height), Image.Resampling.BOX).tobytes()
    columns = picture.resize((picture.width, 1), Image.Resampling.BOX).tobytes()
    return max(sum((one - next_) ** 2 for one, next_ in pairwise(line)) for line in (rows, columns))
