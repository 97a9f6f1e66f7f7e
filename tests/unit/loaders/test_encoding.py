"""Bytes to text without being told how."""

import codecs
import random
import subprocess
import sys

import pytest

from loaders.encoding import decode
from loaders.errors import UnreadableDocument, UnsupportedMedia

ITALIAN = "La città è bella perché c'è il sole: più di così non si può.\n"
GERMAN = "Größe, Straße, Äpfel und Übermut — „Zitat“.\n"
MIXED = "naïve 😀 日本語 العربية עברית Ελληνικά\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
def test_western_text_survives_in_any_encoding(encoding: str) -> None:
    assert decode(ITALIAN.encode(encoding)) == ITALIAN


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_script_survives_in_the_encodings_of_unicode(encoding: str) -> None:
    assert decode(MIXED.encode(encoding)) == MIXED


def test_big_endian_text_with_a_mark_is_read() -> None:
    assert decode(codecs.BOM_UTF16_BE + MIXED.encode("utf-16-be")) == MIXED


def test_quotation_marks_of_windows_are_kept() -> None:
    assert decode(GERMAN.encode("cp1252")) == GERMAN


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Съешь же ещё этих мягких французских булок, да выпей чаю. " * 4, "cp1251"),
        ("日本語の文章です。これはテストのための長い文章です。" * 4, "shift_jis"),
        ("这是一个用于测试的中文句子，里面没有什么特别的内容。" * 4, "gb18030"),
    ],
)
def test_other_scripts_are_told_by_their_letters(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_declared_encoding_goes_before_a_guess() -> None:
    assert decode("Žluťoučký kůň\n".encode("cp1250"), declared="windows-1250") == "Žluťoučký kůň\n"


@pytest.mark.parametrize("declared", ["no-such-thing", "ascii", "hex", "punycode-x"])
def test_a_wrong_declaration_is_ignored(declared: str) -> None:
    assert decode(ITALIAN.encode("latin-1"), declared=declared) == ITALIAN


def test_line_ends_become_line_feeds() -> None:
    assert decode(b"a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(range(256)) * 4, id="every byte"),
        pytest.param(b"\x00\x01\x02\x03" * 100, id="NULs"),
        pytest.param(b"\xff\xfe" + random.Random(1).randbytes(400), id="a mark and nonsense"),
        pytest.param(b"\xff\xfea", id="a mark and half a character"),
        pytest.param(b"text\x00text", id="text with a NUL"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises((UnsupportedMedia, UnreadableDocument)):
        decode(data)


def test_colours_of_a_terminal_do_not_make_a_log_binary() -> None:
    text = "\x1b[32mok\x1b[0m all tests passed in this run of the suite\n" * 3
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (("Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni "
         "obdarzeni rozumem i sumieniem i powinni postępować w duchu braterstwa. "), "cp1250"),
        (("Każdy człowiek posiada wszystkie prawa, bez względu na różnice rasy, języka, wyznania, "
         "poglądów, narodowości, majątku i urodzenia. "), "iso8859-2"),
        (("Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni "
         "rozumem a svědomím. "), "cp1250"),
        (("Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek "
         "ésszel és lelkiismerettel bírván, erőszak nélkül, testvéri szellemben. "), "cp1250"),
        (("Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana "
         "sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile davranırlar. "), "cp1254"),
        (("Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas ir "
         "sąžinė, ir jie turi elgtis vienas kito atžvilgiu kaip broliai. "), "cp1257"),
    ],
)  # fmt: skip
def test_latin_letters_are_told_by_the_alphabet(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding) * 2) == text * 2


@pytest.mark.parametrize(
    "text",
    [
        (
            "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de "
            "razão e de consciência, devem agir uns para com os outros em espírito. "
            "Não será feita nenhuma distinção fundada na condição política do país. "
        ),
        (
            "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille "
            "on annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden. "
        ),
        (
            "Toda persoa ten dereito á educación. Ninguén será sometido a escravitude; "
            "a escravitude está prohibida en tódalas súas formas. "
        ),
        (
            "Hver maður er borinn frjáls og jafn öðrum að virðingu og réttindum. Menn eru gæddir "
            "vitsmunum og samvizku, og ber þeim að breyta bróðurlega hverjum við annan. "
        ),
        "The café in Malmö, the fête of El Niño, and señor Ibáñez: a text in English. ",
    ],
)
def test_long_western_texts_are_taken_for_no_others(text: str) -> None:
    assert decode(text.encode("cp1252") * 12) == text * 12


def test_every_codec_is_loaded_before_a_process_loses_its_rights() -> None:
    script = (
        "import sys; from loaders.encoding import warm_up; warm_up()\n"
        "names = ('koi8_r', 'koi8_u', 'cp1250', 'shift_jis', 'cp720', 'utf_7')\n"
        "print(all(f'encodings.{name}' in sys.modules for name in names))"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "True\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("größer über Straße für Öl ".encode() * 3 + b"\xff end", "größer über"),
        ("Müller, Straß".encode() + b"\xc3", "Müller, Straß"),
        ("Привет, мир! ".encode() * 3 + b"\xd0", "Привет, мир!"),
    ],
)
def test_utf8_with_a_wrong_byte_keeps_its_other_letters(data: bytes, text: str) -> None:
    assert decode(data).startswith(text)


def test_western_text_is_not_taken_for_damaged_utf8() -> None:
    text = "größer über Straße für Öl, Äpfel, daß "

    assert decode(text.encode("cp1252")) == text
