"""What is inside an archive or an old Office file."""

import pytest

from loaders.errors import DocumentEncrypted, LoaderLimit, UnreadableDocument, UnsupportedMedia
from loaders.media_type import MediaType
from loaders.recognition import recognise
from tests.fixtures.office import docx_of, epub_of, odf_of, old_office_of, xls_of, xlsx_of, zip_of

NAMES = ["a.docx", "a.txt", "a.pdf", "a.zip", "a"]


def _typed(kind: str) -> bytes:
    return zip_of({"[Content_Types].xml": f'<Override ContentType="application/{kind}"/>'})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (docx_of("x"), MediaType.DOCX),
        (_typed("vnd.ms-word.document.macroEnabled.main+xml"), MediaType.DOCX),
        (_typed("vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"),
         MediaType.DOCX),
        (_typed("vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml"),
         MediaType.PPTX),
        (_typed("vnd.ms-powerpoint.presentation.macroEnabled.main+xml"), MediaType.PPTX),
        (xlsx_of({}), MediaType.XLSX),
        (_typed("vnd.ms-excel.sheet.macroEnabled.main+xml"), MediaType.XLSX),
        (odf_of("text", ""), MediaType.ODT),
        (odf_of("text-web", ""), MediaType.ODT),
        (odf_of("spreadsheet", ""), MediaType.ODS),
        (epub_of({}), MediaType.EPUB),
        (zip_of({"META-INF/container.xml": "<container/>"}), MediaType.EPUB),
        (xls_of([]), MediaType.XLS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_kind_is_told_by_the_content_whatever_the_name(
    data: bytes, kind: MediaType, name: str
) -> None:
    assert recognise(data, name).media_type is kind


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (old_office_of({"WordDocument": b"x"}), r"\.docx"),
        (old_office_of({"PowerPoint Document": b"x"}), r"\.pptx"),
        (old_office_of({"__substg1.0_1000": b"x"}), r"\.eml"),
        (old_office_of({"Other": b"x"}), r"\.docx"),
        (_typed("vnd.ms-excel.sheet.binary.macroEnabled.main"), r"\.xlsx"),
        (odf_of("presentation", ""), r"\.pptx"),
        (zip_of({"a.txt": "x", "word/document.xml": "<x/>"}), "one by one"),
        (_typed("vnd.openxmlformats-officedocument.spreadsheetml.sheet"), "one by one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_kinds_are_refused_with_a_way_out(data: bytes, advice: str) -> None:
    with pytest.raises(UnsupportedMedia, match=advice):
        recognise(data, "a.docx")


def test_a_document_inside_an_archive_makes_no_document_of_it() -> None:
    with pytest.raises(UnsupportedMedia):
        recognise(zip_of({"inner.docx": docx_of("x")}), "a.docx")


def test_an_office_document_with_a_password_is_told() -> None:
    with pytest.raises(DocumentEncrypted):
        recognise(old_office_of({"EncryptionInfo": b"x", "EncryptedPackage": b"x"}), "a.docx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "data", [docx_of("x" * 3000), old_office_of({"Workbook": bytes(9000)})], ids=["new", "old"]
)
def test_a_truncated_document_is_damaged(data: bytes, share: float) -> None:
    truncated = data[: int(len(data) * share)]
    try:
        recognise(truncated, "a.docx")
    except UnreadableDocument:
        return
    assert data.startswith(b"\xd0\xcf"), "an old container is told by its head alone"


def test_a_bomb_is_refused_when_its_kind_is_asked() -> None:
    with pytest.raises(LoaderLimit):
        recognise(zip_of({"[Content_Types].xml": bytes(64 * 1024 * 1024)}), "a.docx")
