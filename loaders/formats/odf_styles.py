"""What OpenDocument styles hide."""

from loaders.formats.safe_xml import XmlElement

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"

_HIDING = (
    (STYLE + "text-properties", TEXT + "display", "none"),
    (STYLE + "table-properties", TABLE + "display", "false"),
)


class HiddenStyles:
    """The styles of one part under which nothing is seen."""

    def __init__(self, root: XmlElement) -> None:
        self._names = {
            style.get(STYLE + "name")
            for style in root.iter(STYLE + "style")
            for tag, attribute, value in _HIDING
            if any(each.get(attribute) == value for each in style.iterfind(tag))
        }

    def hides(self, element: XmlElement) -> bool:
        """Whether an element is not seen, by its style or by what it says of itself."""
        if element.get(TEXT + "display") == "none":
            return True
        if not self._names:
            return False
        return element.get(TEXT + "style-name") in self._names or (
            element.get(TABLE + "style-name") in self._names
        )
