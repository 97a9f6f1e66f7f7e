"""Pictures of any kind as the grey ones that words are recognised in."""

import math

from PIL import ExifTags, Image

from loaders.errors import LoaderLimit

MOST_PIXELS = 150_000_000
"""Of a picture as it comes: more than a sheet of A0 at 300 dots per inch."""
MOST_GREY_PIXELS = 20_000_000
"""Of a picture that is looked at; more cost time and memory, and show no more words."""
LONGEST_SIDE = 20_000
"""Of the same; Tesseract's own limit is not far from it."""
_SMALL_SIDE = 1500
_ENLARGED = 2
_WHITE = 255
_MANY_LEVELS = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_UPRIGHT_ALREADY = 1
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What is to be done with a picture whose camera was held in another way, by its EXIF."""


def refuse_bomb(picture: Image.Image) -> None:
    """Look at the size that a picture claims, before it is decoded.

    Raises:
        LoaderLimit: it is too large.
    """
    if picture.width * picture.height > MOST_PIXELS:
        raise LoaderLimit(
            f"the picture has {picture.width} x {picture.height} pixels, which is more than allowed"
        )


def prepare(picture: Image.Image) -> Image.Image:
    """Upright, grey, on white, and of a size at which words are recognised well.

    Raises:
        LoaderLimit: it is too large.
    """
    refuse_bomb(picture)
    pixels = picture.width * picture.height
    if pixels > MOST_GREY_PIXELS:  # a JPEG is then decoded to a smaller size from the start
        share = math.sqrt(MOST_GREY_PIXELS / pixels)
        picture.draft("L", (int(picture.width * share), int(picture.height * share)))
    turn = _UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, _UPRIGHT_ALREADY))
    grey = _to_good_size(_to_grey(picture))
    return grey if turn is None else grey.transpose(turn)


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.mode in _MANY_LEVELS:
        return _to_few_levels(picture)
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode not in {"LA", "RGBA"}:
        return picture.convert("L")
    on_white = Image.new("L", picture.size, _WHITE)
    on_white.paste(picture.convert("L"), mask=picture.getchannel("A"))
    return on_white


def _to_few_levels(picture: Image.Image) -> Image.Image:
    """What lies between the darkest and the lightest point, of whatever scale those are."""
    values = picture.convert("F")
    extrema = values.getextrema()
    darkest, lightest = (float(each) for each in extrema)  # type: ignore[arg-type]
    scale = _WHITE / ((lightest - darkest) or 1)
    return values.point(lambda value: value * scale - darkest * scale).convert("L")


def _to_good_size(picture: Image.Image) -> Image.Image:
    if max(picture.size) < _SMALL_SIDE:
        larger = (picture.width * _ENLARGED, picture.height * _ENLARGED)
        return picture.resize(larger, Image.Resampling.BICUBIC)
    share = min(
        math.sqrt(MOST_GREY_PIXELS / (picture.width * picture.height)),
        LONGEST_SIDE / max(picture.size),
    )
    if share >= 1:
        return picture
    smaller = (max(int(picture.width * share), 1), max(int(picture.height * share), 1))
    return picture.resize(smaller, Image.Resampling.BOX)
