"""What documents are called."""

import pytest

from loaders.document import Element, ElementKind
from loaders.media_type import MediaType
from loaders.titles import find_title

HEADING = Element(kind=ElementKind.HEADING, text="Vacation policy")


@pytest.mark.parametrize(
    "own",
    [
        "Untitled",
        "untitled document",
        "Presentation",
        "Document1",
        "Book 2",
        "PowerPoint Presentation",
        "Microsoft Word - Document1",
        "Microsoft  PowerPoint - final2.ppt",
        "PowerPoint-Präsentation",
    ],
)
def test_what_programs_write_is_no_title(own: str) -> None:
    assert find_title(own, [], MediaType.PDF, "leave.2024.pdf") == "leave.2024"
    assert find_title(own, [HEADING], MediaType.PDF, "leave.pdf") == "Vacation policy"


@pytest.mark.parametrize(
    "own", ["Presentation of the figures", "Documents", "Book of hours", "1984", "Erlkönig.pages"]
)
def test_a_title_that_says_something_stays(own: str) -> None:
    assert find_title(own, [HEADING], MediaType.PDF, "a.pdf") == own


def test_a_mail_is_called_as_its_sender_called_it() -> None:
    assert find_title("Presentation", [], MediaType.EMAIL, "a.eml") == "Presentation"


def test_a_workbook_is_not_called_by_its_first_sheet() -> None:
    assert find_title(None, [HEADING], MediaType.XLSX, "figures.xlsx") == "figures"
    assert find_title("Figures", [HEADING], MediaType.XLSX, "a.xlsx") == "Figures"


@pytest.mark.parametrize("text", ["1 One", "1. Introduction", "Title"])
def test_a_heading_that_names_no_document_is_no_title(text: str) -> None:
    first = Element(kind=ElementKind.HEADING, text=text)
    assert find_title(None, [first, HEADING], MediaType.PDF, "report.pdf") == "report"
