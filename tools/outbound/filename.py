"""What a fetched file is called: what its server says, made harmless."""

import unicodedata
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import PurePosixPath
from urllib.parse import unquote

from yarl import URL

FILENAME_MAX_CHARS = 200


def name_file(disposition: str, url: URL) -> str:
    """Return the name in a Content-Disposition header (RFC 6266), else the URL's last part."""
    return (
        _make_harmless(_disposed_name(disposition))
        or _make_harmless(unquote(url.raw_name))
        or (url.raw_host or "").replace(":", "-")
    )


def _disposed_name(disposition: str) -> str:
    header = Message()
    header["Content-Disposition"] = disposition
    try:
        parameters = header.get_params([], header="Content-Disposition")
        names = [value for key, value in parameters if key.lower() == "filename"]
        # `filename*` comes as a tuple, and counts.
        names.sort(key=lambda value: isinstance(value, str))
        return collapse_rfc2231_value(names[0]) if names else ""
    except (TypeError, ValueError, LookupError):  # it makes no sense, or names an odd encoding
        return ""


def _make_harmless(name: str) -> str:
    """One visible name without a folder, without what turns or hides text, not too long."""
    name = PurePosixPath(name.replace("\\", "/")).name
    visible = (each for each in name if unicodedata.category(each)[0] not in "CZ" or each == " ")
    name = "".join(visible).strip(" .")
    stem, dot, ending = name.rpartition(".")
    kept = FILENAME_MAX_CHARS - len(dot + ending)
    return (stem[:kept] + dot + ending) if kept > 0 else name[:FILENAME_MAX_CHARS]
