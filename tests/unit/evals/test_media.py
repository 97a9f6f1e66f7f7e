"""Recordings and images that samples name."""

import base64
import json
from dataclasses import replace

import pytest

from evals.errors import SuiteInvalid
from evals.records.surroundings import samples_digest
from evals.reports.html import html_report
from evals.suite.loading import read_suite
from evals.suite.samples import read_samples
from evals.target.media import MediaFile, dump_media, list_media, load_media, media_fields
from tests.unit.evals.records import attempt, suite_record

SUITE = "name: mine\ndescription: One of mine.\nsamples: {samples}\nscorers: [includes]\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("said.WAV", "said.opus", "seen.jpeg", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def read(folder, *samples, samples_in="samples.jsonl"):
    (folder / samples_in).parent.mkdir(exist_ok=True)
    (folder / samples_in).write_text("\n".join(map(json.dumps, samples)), "utf-8")
    (folder / "suite.yaml").write_text(SUITE.format(samples=samples_in), "utf-8")
    return read_suite(folder / "suite.yaml")


def test_a_recording_or_an_image_needs_no_text(folder):
    suite = read(folder, {"id": "a", "audio": "said.WAV"}, {"id": "b", "images": "seen.jpeg"})
    assert [each.input for each in suite.samples] == [[""], [""]]
    assert [each.media_names for each in suite.samples] == [["said.WAV"], ["seen.jpeg"]]


def test_files_are_relative_to_the_suite_wherever_its_samples_are(folder):
    suite = read(folder, {"id": "a", "audio": "said.opus"}, samples_in="data/samples.jsonl")
    assert suite.read_media() == [b"said.opus"]


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ({"audio": "gone.ogg"}, "samples.jsonl, line 2: there is no file 'gone.ogg'; paths are"),
        ({"images": ["seen.jpeg", "gone.png"]}, "line 2: there is no file 'gone.png'"),
        ({"audio": "notes.txt"}, "line 2: audio is no file of .wav, .mp3, .webm, .ogg, .opus:"),
        ({"images": "said.opus"}, "line 2: images.0 is no file of .png"),
        ({"tags": "x"}, "line 2: input is missing: add it"),
    ],
)
def test_a_fault_is_named_with_its_file_line_and_remedy(folder, sample, told):
    with pytest.raises(SuiteInvalid) as refused:
        read(folder, {"id": "good", "input": "x"}, {"id": "bad"} | sample)
    assert told in str(refused.value)


def test_a_sample_in_the_suite_itself_is_held_to_the_same(folder):
    text = SUITE.format(samples="\n  - id: a\n    audio: gone.wav")
    (folder / "suite.yaml").write_text(text, "utf-8")
    with pytest.raises(SuiteInvalid, match=r"suite\.yaml, line 4: there is no file 'gone\.wav'"):
        read_suite(folder / "suite.yaml")


def test_csv_has_columns_for_them(folder):
    (folder / "samples.csv").write_text(
        "id,audio,images\na,said.WAV,seen.jpeg|seen.jpeg\n", encoding="utf-8"
    )
    [sample] = read_samples(folder / "samples.csv")
    assert sample.media_names == ["said.WAV", "seen.jpeg", "seen.jpeg"]


def test_another_recording_is_another_question(folder):
    suite = read(folder, {"id": "a", "audio": "said.WAV"})
    before = samples_digest(suite.samples, *suite.read_media())
    (folder / "said.WAV").write_bytes(b"something else")
    assert samples_digest(suite.samples, *suite.read_media()) != before


def test_a_request_holds_what_the_files_hold(folder):
    fields = media_fields(folder / "said.opus", [folder / "seen.jpeg"])
    assert fields["audio_format"] == "ogg"
    assert base64.b64decode(fields["audio_b64"]) == b"said.opus"
    [image] = fields["images"]
    assert (image["mime"], base64.b64decode(image["data_b64"])) == ("image/jpeg", b"seen.jpeg")
    assert media_fields(None, []) == {}


def test_records_hold_names_and_sizes_and_no_bytes(folder):
    media = list_media(folder, "said.WAV", ["seen.jpeg"])
    assert [(each.kind, each.name, each.bytes) for each in media] == [
        ("audio", "said.WAV", 8),
        ("image", "seen.jpeg", 9),
    ]
    assert load_media(dump_media(media)) == tuple(media)


def test_the_report_shows_what_was_sent_and_what_was_understood():
    file = MediaFile(kind="audio", name="<said>.wav", bytes=2048, digest="d")
    answered = attempt("a")
    heard = replace(answered.answer, transcript="So & so.")
    spoken = replace(answered, media=(file,), answer=heard)
    page = html_report([(suite_record(spoken), ())], title="T")
    assert "recording &lt;said&gt;.wav, 2.0 KiB" in page
    assert "understood: So &amp; so." in page
