"""A conversation as a sample, and the file to which it is added."""

import json
import stat

import pytest
import typer

from evals.cli.from_session import SessionRequest, add_session
from evals.errors import UsageMistake
from evals.sessions.appending import append_sample
from evals.sessions.reading import Turn
from evals.sessions.sample import choose_turns, id_of, make_sample
from evals.suite.schema import SampleSpec
from evals.target.answer import CalledTool

CALL = CalledTool(name="semantic.search", arguments={"query": "canteen"})
TURNS = [
    Turn(text="When?", calls=(CALL,), cited=("a.md", "b.md")),
    Turn(text="Sure?", calls=(CALL,), cited=("a.md",), knows_arguments=False),
]


def test_a_conversation_is_put_as_it_was_up_to_a_message():
    for message, texts in ((1, "When?"), (None, ["When?", "Sure?"])):
        turns = choose_turns(TURNS, message=message, without_images=False)
        sample = make_sample(turns, name="s", tags=["x", "x"], expects=False)
        assert sample == {"id": "s", "input": texts, "tags": ["from-session", "x"]}
        SampleSpec.model_validate(sample)


def test_what_was_called_and_cited_is_expected_where_that_is_asked_for():
    sample = make_sample(TURNS, name="s", tags=[], expects=True)
    assert sample["expect"] == {
        "calls": [
            {"tool": "semantic.search", "arguments": {"query": "canteen"}},
            {"tool": "semantic.search"},
        ],
        "relevant": ["a.md", "b.md"],
    }
    SampleSpec.model_validate(sample)


@pytest.mark.parametrize(
    ("turns", "message", "without_images", "told"),
    [
        ([], None, False, "nothing was said"),
        (TURNS, 3, False, "you have said 2"),
        ([Turn(text="See?", images=1)], None, False, "images cannot go into a sample"),
        ([Turn(text=" ", images=1)], None, True, "has no words"),
    ],
)
def test_what_no_sample_can_hold_is_refused(turns, message, without_images, told):
    with pytest.raises(UsageMistake, match=told):
        choose_turns(turns, message=message, without_images=without_images)


def test_an_id_is_plain_however_a_client_named_its_session():
    assert id_of("a/b:c" + "x" * 99, TURNS) == f"session-a-b-c{'x' * 19}-2"


def test_samples_are_added_behind_others_for_the_owner_alone(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text('{"id": "s", "input": "One?"}', "utf-8")
    path.chmod(0o644)
    assert append_sample(path, {"id": "s", "input": "Zwölf?"}) == "s-2"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [each["id"] for each in lines] == ["s", "s-2"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["samples.jsonl"]


@pytest.mark.parametrize(
    ("name", "held"), [("samples.csv", ""), ("samples.jsonl", "{no json"), ("gone/a.jsonl", None)]
)
def test_what_is_no_file_of_samples_is_left_as_it_is(tmp_path, name, held):
    path = tmp_path / name
    if held is not None:
        path.write_text(held, "utf-8")
    with pytest.raises(UsageMistake):
        append_sample(path, {"id": "s", "input": "One?"})
    assert held is None or path.read_text("utf-8") == held


class Kept:
    """An API that has one session, of one message."""

    def request(self, *_, **__):
        message = {"role": "user", "content": "Hello?", "images": [], "audio": None, "run_id": "r"}
        return {"messages": [message], "total": 1}


@pytest.mark.parametrize("agrees", [True, False])
def test_the_person_sees_what_is_written_and_says_whether(tmp_path, monkeypatch, capsys, agrees):
    path = tmp_path / "samples.jsonl"
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: agrees)
    add_session(Kept(), SessionRequest(session_id="s", to=path), has_person=lambda: True)
    shown = capsys.readouterr()
    assert '"input": "Hello?"' in shown.out
    assert "whoever reads it" in shown.err
    assert path.exists() is agrees
    assert ("Nothing was written." in shown.out) is not agrees
