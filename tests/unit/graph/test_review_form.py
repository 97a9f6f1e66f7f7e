import pytest

from graph.approvals import ApprovalRequest, Decision
from graph.review_form import read_answers, read_form, write_form

FIRST = ApprovalRequest(
    id="a/policy/0/user/",
    call_id="a",
    tool="files.write",
    args={"path": "x"},
    reason="Changes files.",
    approver="group_admin",
    group_id=4,
)
SECOND = ApprovalRequest(
    id="b/interrupted/1", call_id="b", tool="mail.send", args={}, cause="interrupted"
)


def test_requests_are_read_back_from_the_form():
    assert read_form(write_form([FIRST, SECOND])) == (FIRST, SECOND)


def test_what_was_interrupted_cannot_be_edited():
    configs = write_form([FIRST, SECOND])["review_configs"]

    assert configs[0]["allowed_decisions"] == ["approve", "edit", "reject"]
    assert configs[1]["allowed_decisions"] == ["approve", "reject"]


def test_answers_of_langchain_come_in_the_order_of_the_requests():
    edited = {"type": "edit", "edited_action": {"name": "files.write", "args": {"path": "y"}}}

    answers = read_answers(
        {"decisions": [edited, {"type": "reject", "message": "No."}]}, [FIRST, SECOND]
    )

    assert answers == {
        FIRST.id: Decision(decision="edit", args={"path": "y"}),
        SECOND.id: Decision(decision="refuse", reason="No."),
    }


@pytest.mark.parametrize("key", ["id", "call_id"])
def test_answers_of_ours_come_by_the_ids_of_requests_or_calls(key):
    said = {"decision": "refuse", "reason": "No."}

    answers = read_answers({getattr(SECOND, key): said}, [FIRST, SECOND])

    assert answers == {SECOND.id: Decision(decision="refuse", reason="No.")}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "yes",
        [],
        {},
        {"decisions": "approve"},
        {"decisions": [None, {"type": "respond", "message": "?"}]},
        {"decisions": [{"type": "edit"}, {"type": "edit", "edited_action": {"args": "x"}}]},
        {"a": "allow", "b": {"decision": "maybe"}},
        {"a": {"decision": "edit", "args": "x"}},
    ],
)
def test_what_is_no_answer_leaves_the_requests_open(answer):
    assert read_answers(answer, [FIRST, SECOND]) == {}
