"""Text of models and of samples, as it may stand in a terminal or a page."""

import unicodedata


def visible(text: str) -> str:
    """Without characters that steer a terminal or turn what is read around; lines stay lines."""
    return "".join(
        each
        for each in text
        if each in "\n\t" or unicodedata.category(each) not in {"Cc", "Cf", "Cs"}
    )
