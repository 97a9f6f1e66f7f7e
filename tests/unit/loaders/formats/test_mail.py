"""E-mails: their text, what is attached, and headers that lie."""

import base64
import quopri
from email import policy
from email.message import EmailMessage

import pytest

from loaders.document import ElementKind, LoadedDocument
from loaders.errors import LoaderError, LoaderLimit
from loaders.limits import ReadLimits
from loaders.ocr_choice import OcrChoice
from loaders.reading import read_document
from loaders.settings import IngestSettings
from loaders.work import Work, taking_in_hand
from tests.fixtures.office import docx_of
from tests.fixtures.speech import read_recording


def _mail(text: str = "Hello there.", *, subject: str = "Greetings") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg <joerg@example.org>"
    message["To"] = "anna@example.org"
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Subject"] = subject
    message.set_content(text)
    return message


def _read(message: EmailMessage | bytes) -> LoadedDocument:
    data = message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP)
    return read_document(data, "message.eml")


def _raw(*lines: str, body: str = "Hello there.") -> bytes:
    head = ("From: a@example.org", "Date: today", "MIME-Version: 1.0", *lines)
    return "\r\n".join((*head, "", body)).encode("latin-1")


def _texts(document: LoadedDocument) -> list[str]:
    return [each.text for each in document.elements]


def test_a_message_is_its_subject_who_wrote_it_and_its_text() -> None:
    document = _read(_mail("Hello there.\n\nBye.", subject="Grüße aus Köln"))

    assert (document.title, document.mime) == ("Grüße aus Köln", "message/rfc822")
    assert document.elements[0].kind is ElementKind.HEADING
    assert _texts(document) == [
        "Grüße aus Köln",
        "\n".join(
            (
                "From: Jörg <joerg@example.org>",
                "To: anna@example.org",
                "Date: Mon, 01 Jan 2024 10:00:00 +0000",
            )
        ),
        "Hello there.",
        "Bye.",
    ]


def test_the_plain_text_goes_before_the_same_as_a_page() -> None:
    message = _mail("Plain.")
    message.add_alternative("<p>Page.</p>", subtype="html")

    assert _texts(_read(message))[2:] == ["Plain."]


def test_a_page_is_read_when_the_plain_text_is_empty() -> None:
    message = _mail(" \n")
    message.add_alternative("<p>Page.</p><script>evil()</script>", subtype="html")

    assert _texts(_read(message))[2:] == ["Page."]


def test_attachments_of_every_kind_are_read_under_their_names() -> None:
    message = _mail()
    message.add_attachment("# Leave\n\nThirty days.", filename="rules.md")
    message.add_attachment(
        "id,name,town\n1,Anna,Rome\n2,Bob,Oslo\n", subtype="csv", filename="p.csv"
    )

    document = _read(message)

    assert [(str(each.kind), each.level, each.text) for each in document.elements[3:]] == [
        ("heading", 1, "rules.md"),
        ("heading", 2, "Leave"),
        ("text", 1, "Thirty days."),
        ("heading", 1, "p.csv"),
        ("table", 1, "id | name | town\n1 | Anna | Rome\n2 | Bob | Oslo"),
    ]


def test_an_attachment_that_cannot_be_read_is_named_and_harms_nothing() -> None:
    message = _mail()
    message.add_attachment(b"\x7fELF\x00\x01", "application", "pdf", filename="../../evil/run.pdf")
    message.add_attachment(b"", "text", "plain", filename="C:\\temp\\empty.txt")
    message.add_attachment(b"x\x9f>\x22\x00", "application", "ms-tnef", filename="winmail.dat")
    message.add_attachment("Good.", filename="good.txt")

    *_, program, empty, outlook, name, good = _texts(_read(message))

    assert program.startswith("Attachment not read: run.pdf (the file is a program")
    assert empty == "Attachment not read: empty.txt (the file is empty)"
    assert outlook.startswith("Attachment not read: winmail.dat (")
    assert (name, good) == ("good.txt", "Good.")


def test_a_forwarded_message_is_read_with_what_is_attached_to_it() -> None:
    inner = _mail("Inner words.", subject="Inner")
    inner.add_attachment("Deep words.", filename="deep.txt")
    outer = _mail("See below.")
    outer.add_attachment(inner)

    texts = _texts(_read(outer))

    assert texts[3:5] == ["Inner", "Inner"]
    assert texts[-3:] == ["Inner words.", "deep.txt", "Deep words."]


def test_messages_inside_messages_end_at_the_fourth() -> None:
    message = _mail("Level 0.")
    for level in range(1, 9):
        outer = _mail(f"Level {level}.")
        outer.add_attachment(message)
        message = outer

    text = _read(message).text

    assert all(f"Level {level}." in text for level in range(4, 9))
    assert "Level 3." not in text
    assert "Attachment not read: Greetings (it is attached more than 4 levels deep)" in text


def test_messages_attached_as_files_share_the_same_levels() -> None:
    data = _mail("Level 0.").as_bytes()
    for level in range(1, 9):
        outer = _mail(f"Level {level}.")
        outer.add_attachment(data, "application", "octet-stream", filename="inner.eml")
        data = outer.as_bytes()

    text = _read(data).text

    assert "Level 4." in text
    assert "Level 3." not in text


def test_no_more_than_a_hundred_attachments_are_read() -> None:
    message = _mail()
    for number in range(130):
        message.add_attachment(f"Words {number}.", filename=f"{number}.txt")

    texts = _texts(_read(message))

    assert sum(text.startswith("Words") for text in texts) == 100
    assert sum("more than 100 files" in text for text in texts) == 30


def test_pictures_of_the_page_are_no_attachments() -> None:
    message = _mail("")
    message.set_content("<p>Page.</p><img src='cid:x'>", subtype="html")
    message.add_related(b"\x89PNG\r\n\x1a\n", "image", "png", cid="<x>")

    assert _texts(_read(message))[2:] == ["Page."]


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("no-such-charset", "caf\xe9".encode("cp1252")),
        ("us-ascii", "caf\xe9".encode()),
        ("utf-8", "caf\xe9".encode("latin-1")),
        ("utf-16", "caf\xe9".encode()),
        ("unicode_escape", "caf\xe9".encode()),
        ("iso-8859-1", "caf\xe9".encode("cp1252")),
        ("utf-7", "caf\xe9".encode()),
        ("\x00", "caf\xe9".encode()),
    ],
)
def test_a_charset_that_is_unknown_or_a_lie_costs_no_words(charset: str, body: bytes) -> None:
    head = _raw(f"Content-Type: text/plain; charset={charset}", body="")

    assert _texts(_read(head + body))[-1] == "café"


def test_letters_that_shift_between_sets_are_read_as_declared() -> None:
    head = _raw("Content-Type: text/plain; charset=iso-2022-jp", body="")

    assert _texts(_read(head + "日本語です".encode("iso-2022-jp")))[-1] == "日本語です"


@pytest.mark.parametrize(
    "header",
    [
        "Subject: =?no-such?q?x?=",
        "Subject: =?utf-8?b?****?=",
        "Subject: =?utf-8?q?=ED=A0=80?=",
        "To: <<<>>>, @@@,,, =?utf-8?q?=00?=",
        "To: " + "a@b.c, " * 20_000,
        "Cc: " + "(" * 5_000,
        "Content-Type: multipart/mixed",
        "Content-Type: multipart/mixed; boundary=x",
        "Content-Type: nonsense",
        "Content-Type: text/plain; charset*0*=x''y; charset*1=z",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: no-such",
        "Content-Disposition: attachment; filename*=no-such''%ff%fe",
        'Content-Disposition: attachment; filename="=?utf-8?q?=00?="',
        "Content-Disposition: ;;;===",
        "Date: \x00\x01",
    ],
)
def test_headers_that_make_no_sense_break_nothing(header: str) -> None:
    assert "From: a@example.org" in _read(_raw(header)).text


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_a_message_that_breaks_off_gives_what_is_there(share: float) -> None:
    message = _mail("Words. " * 50)
    message.add_attachment("More words. " * 50, filename="a.txt")
    data = message.as_bytes()

    assert "From: Jörg" in _read(data[: int(len(data) * share)]).text


def test_parts_that_are_nested_without_end_are_refused() -> None:
    parts = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)
    )

    with pytest.raises(LoaderError):
        _read(b"From: a@b.c\nDate: x\nMIME-Version: 1.0\n" + parts)


def test_an_attachment_may_lie_about_its_kind_and_its_encoding() -> None:
    page = base64.b64encode(b"<!doctype html><p>Page.</p>").decode()
    data = _raw(
        "Content-Type: multipart/mixed; boundary=x",
        body=f"--x\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n"
        f"\r\n{page}\r\n--x--",
    )

    assert _texts(_read(data))[1:] == ["a.png", "Page."]


def test_a_box_gives_every_message() -> None:
    first, second = _mail("One.", subject="First"), _mail("Two.\n>From here.", subject="Second")
    box = b"".join(
        b"From x@example.org Mon Jan  1 10:00:00 2024\n" + each.as_bytes() + b"\n"
        for each in (first, second)
    )

    document = read_document(box, "mail.mbox")

    assert (document.title, document.mime) == ("mail", "application/mbox")
    texts = _texts(document)
    assert texts[0] == "First"
    assert "One." in texts
    assert texts[-2:] == ["Two.", "From here."]


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_an_attached_message_that_is_encoded_against_the_rule_is_decoded(encoding: str) -> None:
    inner = _mail("Über uns.", subject="Inner")
    inner.add_attachment("In it.", filename="a.txt")
    data = inner.as_bytes()
    encoded = quopri.encodestring(data) if encoding != "base64" else base64.encodebytes(data)
    outer = _raw(
        "Content-Type: multipart/mixed; boundary=outer",
        body="--outer\r\nContent-Type: message/rfc822\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n{encoded.decode()}\r\n--outer--",
    )

    texts = _texts(_read(outer))

    assert texts[1:3] == ["Inner", "Inner"]
    assert texts[-3:] == ["Über uns.", "a.txt", "In it."]


def test_a_message_of_thousands_of_parts_is_refused() -> None:
    parts = "".join(f"--x\r\nContent-Type: text/x-{n}\r\n\r\na\r\n" for n in range(1_001))

    with pytest.raises(LoaderLimit, match="more than 1000 parts"):
        _read(_raw("Content-Type: multipart/mixed; boundary=x", body=f"{parts}--x--"))


def test_an_attachment_that_breaks_its_parser_is_named_and_harms_no_other() -> None:
    message = _mail()
    absurd = f'<w:p><w:pPr><w:outlineLvl w:val="{"9" * 5_000}"/></w:pPr></w:p>'
    message.add_attachment(docx_of(absurd), "application", "msword", filename="a.docx")
    message.add_attachment("Words.", filename="good.txt")

    assert _texts(_read(message))[-3:] == [
        "Attachment not read: a.docx (it cannot be read: ValueError)",
        "good.txt",
        "Words.",
    ]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("header", ["Content-Type: text/plain", "Content-Disposition: inline"])
def test_a_header_of_thousands_of_parameters_is_read_in_little_time(header: str) -> None:
    endless = header + "".join(f"; a{number}=" for number in range(50_000))

    assert "Hello there." in _texts(_read(_raw("From: a@b.c", "Subject: x", endless)))


def test_a_recording_is_handed_on_to_be_heard_in_its_place() -> None:
    message = _mail()
    message.add_attachment(read_recording("ill_disposed"), "audio", "wav", filename="voice.wav")
    message.add_attachment("Good.", filename="good.txt")

    elements = _read(message).elements

    assert [each.text for each in elements[-4:]] == ["voice.wav", "voice.wav", "good.txt", "Good."]
    assert [each.recording for each in elements if each.recording] == [
        read_recording("ill_disposed")
    ]


def test_recordings_larger_than_what_may_come_out_of_a_file_are_named() -> None:
    message = _mail()
    for name in ("one.wav", "two.wav"):
        message.add_attachment(read_recording("ill_disposed"), "audio", "wav", filename=name)
    size = len(read_recording("ill_disposed"))
    limits = ReadLimits.of(IngestSettings(max_text_bytes=size * 3))

    with taking_in_hand(Work(limits, OcrChoice())):
        elements = _read(message).elements

    assert sum(each.recording is not None for each in elements) == 1
    assert elements[-1].text.startswith("Attachment not read: two.wav (the recordings")


def test_a_message_that_begins_with_a_mark_of_its_encoding_is_a_message() -> None:
    document = _read(b"\xef\xbb\xbf" + _raw("Subject: Leave", body="Thirty days."))

    assert document.title == "Leave"
    assert document.elements[-1].text == "Thirty days."


def test_a_plain_text_that_only_tells_of_the_page_does_not_stand_for_it() -> None:
    message = _mail("Please look at this message in a browser.")
    message.add_alternative(f"<p>{'Thirty days of leave. ' * 60}</p>", subtype="html")

    assert "Thirty days of leave." in _read(message).text
