"""Calls that a policy or a person has to allow before they are made."""

from collections.abc import Sequence

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.types import Command

from graph.approvals import ApprovalRequest, Decision, ProposedCall, Verdict
from graph.context import AgentContext
from graph.events import ApprovalNeeded, Resumed, ToolCall
from tests.fakes.conversation import Conversation
from tests.fakes.hinted_tools import hinted

ALLOW, ASK, DENY = Verdict(decision="allow"), Verdict(decision="ask"), Verdict(decision="deny")


class Rules:
    """A policy that a test can change between two attempts."""

    def __init__(self, **by_tool: Verdict) -> None:
        self.by_tool = by_tool
        self.judged: list[ProposedCall] = []

    async def __call__(self, calls: Sequence[ProposedCall]) -> list[Verdict]:
        self.judged += calls
        return [self.by_tool.get(call.tool.removeprefix("tests."), ALLOW) for call in calls]


@pytest.fixture
def ran() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def tools(ran):
    async def read(path: str) -> str:
        """Read a file."""
        ran.append(("read", path))
        return f"read {path}"

    async def write(path: str) -> str:
        """Write a file."""
        ran.append(("write", path))
        return f"wrote {path}"

    async def delete(path: str) -> str:
        """Delete a file."""
        ran.append(("delete", path))
        return f"deleted {path}"

    return [hinted(read, read_only=True, repeatable=True), hinted(write), hinted(delete)]


@pytest.fixture
def conversation(model, tools) -> Conversation:
    return Conversation(model, tools)


def _decide(requests: Sequence[ApprovalRequest], *decisions: Decision | str) -> dict[str, Decision]:
    read = (Decision(decision=d) if isinstance(d, str) else d for d in decisions)  # type: ignore[arg-type]
    return dict(zip((request.id for request in requests), read, strict=True))


async def _checkpoints(conversation: Conversation) -> int:
    config = {"configurable": {"thread_id": conversation.thread_id}}
    return len([saved async for saved in conversation.saver.alist(config)])


async def test_a_call_that_is_allowed_costs_no_further_step(model, fake, tools, ran):
    steps = []
    for policy in (None, Rules()):
        conversation = Conversation(model, tools)
        fake.call("write", {"path": "a"})
        fake.reply("Written.")
        told = await conversation.say("Write", policy=policy)
        assert told.finished.content == "Written."
        steps.append(await _checkpoints(conversation))

    assert steps[0] == steps[1]
    assert ran == [("write", "a")] * 2


async def test_a_policy_hears_what_a_call_is(conversation, fake):
    rules = Rules()
    fake.calls(("read", {"path": "a"}), ("write", {"path": "b"}), ("missing", {}))

    await conversation.say("Go on", policy=rules)

    assert [(c.tool, c.args, c.read_only, c.repeatable) for c in rules.judged] == [
        ("tests.read", {"path": "a"}, True, True),
        ("tests.write", {"path": "b"}, False, False),
    ]


async def test_a_run_stops_for_a_person_and_says_what_it_wants(conversation, fake, ran):
    fake.call("write", {"path": "a"}, text="I would write it.")

    told = await conversation.say(
        "Write",
        policy=Rules(
            write=Verdict(decision="ask", reason="Changes files.", approver="either", group_id=7)
        ),
    )

    [needed] = told.of(ApprovalNeeded)
    [request] = needed.requests
    assert (request.tool, request.args, request.cause) == ("tests.write", {"path": "a"}, "policy")
    assert (request.reason, request.approver, request.group_id) == ("Changes files.", "either", 7)
    assert told.events[-2] is needed
    assert told.finished.status == "awaiting_approval"
    assert told.finished.approvals == needed.requests
    assert told.finished.content == "I would write it."
    assert ran == []
    assert told.of(ToolCall) == []


async def test_a_call_that_a_person_allows_is_made_and_the_run_goes_on(conversation, fake, ran):
    rules = Rules(write=ASK)
    fake.call("write", {"path": "a"}, text="I would write it.")
    asked = await conversation.say("Write", policy=rules)
    fake.reply("Written.")

    told = await conversation.taken_over().say(
        None, policy=rules, decisions=_decide(asked.finished.approvals, "allow")
    )

    assert told.events[0] == Resumed(content="I would write it.")
    assert [event.status for event in told.of(ToolCall)] == ["start", "end"]
    assert told.finished.status == "success"
    assert told.finished.content == "I would write it.\n\nWritten."
    assert ran == [("write", "a")]
    assert [type(message) for message in await conversation.messages()] == [
        HumanMessage, AIMessage, ToolMessage, AIMessage,
    ]  # fmt: skip


async def test_several_requests_come_at_once_and_are_answered_in_any_order(conversation, fake, ran):
    rules = Rules(write=ASK, delete=ASK)
    fake.calls(
        ("write", {"path": "a"}), ("read", {"path": "b"}), ("delete", {"path": "c"}),
        ("delete", {"path": "d"}),
    )  # fmt: skip
    asked = await conversation.say("Go on", policy=rules)
    write, c, d = asked.finished.approvals
    first = _decide([d, write], "allow", "refuse")
    fake.reply("Done.")

    still = await conversation.taken_over().say(None, policy=rules, decisions=first)
    told = await conversation.taken_over().say(
        None, policy=rules, decisions=_decide([c], "allow") | first
    )

    assert still.finished.status == "awaiting_approval"
    assert still.finished.approvals == (c,)
    assert len(fake.requests) == 2
    assert sorted(ran) == [("delete", "c"), ("delete", "d"), ("read", "b")]
    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert "refused" in results[0]
    assert results[1:] == ["read b", "deleted c", "deleted d"]
    assert told.finished.content == "Done."


async def test_arguments_that_a_person_edited_are_called_with_and_shown_to_the_model(
    conversation, fake, ran
):
    rules = Rules(write=ASK)
    fake.calls(("write", {"path": "a"}), ("read", {"path": "b"}))
    asked = await conversation.say("Write", policy=rules)
    edit = Decision(decision="edit", args={"path": "z"})
    fake.reply("Written.")

    told = await conversation.taken_over().say(
        None, policy=rules, decisions=_decide(asked.finished.approvals, edit)
    )

    assert sorted(ran) == [("read", "b"), ("write", "z")]
    assert told.of(ToolCall)[0].args == {"path": "z"}
    assert told.of(ToolCall)[0].call_id == asked.finished.approvals[0].call_id
    sent = next(m for m in fake.requests[-1].messages if m.get("tool_calls"))
    assert [c["function"]["arguments"] for c in sent["tool_calls"]] == [
        {"path": "z"}, {"path": "b"},
    ]  # fmt: skip
    assert rules.judged[-2].args == {"path": "z"}


async def test_a_refusal_is_told_to_the_model_with_its_reason(conversation, fake, ran):
    rules = Rules(delete=ASK)
    fake.call("delete", {"path": "a"})
    asked = await conversation.say("Delete", policy=rules)
    fake.reply("As you like.")

    told = await conversation.taken_over().say(
        None,
        policy=rules,
        decisions=_decide(
            asked.finished.approvals, Decision(decision="refuse", reason="We need it.")
        ),
    )

    assert ran == []
    assert fake.requests[-1].messages[-1]["content"].endswith("The reason given: We need it.")
    assert told.finished.content == "As you like."
    assert [m.status for m in await conversation.messages() if m.type == "tool"] == ["error"]


async def test_a_call_that_a_policy_denies_is_not_made_and_stops_nothing(conversation, fake, ran):
    fake.calls(("delete", {"path": "a"}), ("read", {"path": "b"}))
    fake.reply("I may not.")

    told = await conversation.say(
        "Delete", policy=Rules(delete=Verdict(decision="deny", reason="Never delete."))
    )

    assert ran == [("read", "b")]
    results = [m["content"] for m in fake.requests[-1].messages if m["role"] == "tool"]
    assert "Never delete." in results[0]
    assert results[1] == "read b"
    assert told.finished.content == "I may not."
    assert told.of(ApprovalNeeded) == []


async def test_what_the_policy_denies_by_now_is_not_called_although_a_person_allowed_it(
    conversation, fake, ran
):
    fake.call("write", {"path": "a"})
    asked = await conversation.say("Write", policy=Rules(write=ASK))

    await conversation.taken_over().say(
        None, policy=Rules(write=DENY), decisions=_decide(asked.finished.approvals, "allow")
    )

    assert ran == []
    assert "policy forbids" in fake.requests[-1].messages[-1]["content"]


async def test_a_refusal_stands_although_the_policy_would_not_ask_any_more(conversation, fake, ran):
    fake.call("write", {"path": "a"})
    asked = await conversation.say("Write", policy=Rules(write=ASK))

    await conversation.taken_over().say(
        None, policy=Rules(), decisions=_decide(asked.finished.approvals, "refuse")
    )

    assert ran == []


async def test_what_the_policy_asks_by_now_is_asked_as_well(conversation, fake, ran):
    fake.calls(("write", {"path": "a"}), ("delete", {"path": "b"}))
    asked = await conversation.say("Write", policy=Rules(write=ASK))
    decisions = _decide(asked.finished.approvals, "allow")
    rules = Rules(write=ASK, delete=ASK)

    again = await conversation.taken_over().say(None, policy=rules, decisions=decisions)
    assert [request.tool for request in again.finished.approvals] == ["tests.delete"]
    assert ran == []

    decisions |= _decide(again.finished.approvals, "allow")
    told = await conversation.taken_over().say(None, policy=rules, decisions=decisions)
    assert told.finished.status == "success"
    assert sorted(ran) == [("delete", "b"), ("write", "a")]


async def test_a_call_that_another_approver_has_to_allow_by_now_is_asked_again(
    conversation, fake, ran
):
    fake.call("write", {"path": "a"})
    asked = await conversation.say("Write", policy=Rules(write=ASK))
    rules = Rules(write=Verdict(decision="ask", approver="group_admin", group_id=3))

    again = await conversation.taken_over().say(
        None, policy=rules, decisions=_decide(asked.finished.approvals, "allow")
    )

    [request] = again.finished.approvals
    assert (request.approver, request.group_id) == ("group_admin", 3)
    assert request.id != asked.finished.approvals[0].id
    assert ran == []


async def test_edited_arguments_that_need_another_approver_are_asked_about(conversation, fake, ran):
    class ByPath(Rules):
        async def __call__(self, calls: Sequence[ProposedCall]) -> list[Verdict]:
            admin = Verdict(decision="ask", approver="group_admin", group_id=1)
            return [admin if call.args["path"] == "secret" else ASK for call in calls]

    fake.call("write", {"path": "a"})
    asked = await conversation.say("Write", policy=ByPath())
    decisions = _decide(
        asked.finished.approvals, Decision(decision="edit", args={"path": "secret"})
    )

    again = await conversation.taken_over().say(None, policy=ByPath(), decisions=decisions)
    [request] = again.finished.approvals
    assert (request.args, request.approver) == ({"path": "secret"}, "group_admin")
    assert ran == []

    decisions |= _decide([request], "allow")
    await conversation.taken_over().say(None, policy=ByPath(), decisions=decisions)
    assert ran == [("write", "secret")]


async def test_a_run_that_waits_is_found_waiting_by_who_takes_it_over(conversation, fake, ran):
    fake.call("write", {"path": "a"}, text="Well.")
    asked = await conversation.say("Write", policy=Rules(write=ASK))

    told = await conversation.taken_over().say(None, policy=Rules(write=ASK))

    assert told.events[0] == Resumed(content="Well.")
    assert told.finished.approvals == asked.finished.approvals
    assert len(fake.requests) == 1


async def test_a_run_that_waits_is_given_up_for_the_next_question(conversation, fake, ran):
    fake.call("write", {"path": "a"})
    await conversation.say("Write", policy=Rules(write=ASK))
    fake.reply("Never mind.")

    told = await conversation.say("Never mind", policy=Rules(write=ASK))

    assert told.finished.status == "success"
    assert ran == []
    assert [m["role"] for m in fake.requests[-1].messages] == [
        "system", "user", "assistant", "tool", "user",
    ]  # fmt: skip


async def test_calls_in_later_steps_are_asked_about_too(conversation, fake, ran):
    rules = Rules(write=ASK)
    decisions: dict[str, Decision] = {}
    fake.call("write", {"path": "a"})
    asked = await conversation.say("Write twice", policy=rules)
    fake.call("write", {"path": "b"})

    decisions |= _decide(asked.finished.approvals, "allow")
    again = await conversation.taken_over().say(None, policy=rules, decisions=decisions)
    fake.reply("Both.")
    decisions |= _decide(again.finished.approvals, "allow")
    told = await conversation.taken_over().say(None, policy=rules, decisions=decisions)

    assert ran == [("write", "a"), ("write", "b")]
    assert told.finished.content == "Both."


async def test_an_interrupt_has_the_form_that_studio_shows_and_answers(conversation, fake, ran):
    fake.calls(("write", {"path": "a"}), ("delete", {"path": "b"}), ("delete", {"path": "c"}))
    fake.reply("Done.")
    config = {"configurable": {"thread_id": conversation.thread_id}}
    context = AgentContext(policy=Rules(write=ASK, delete=ASK))

    stopped = await conversation.agent.ainvoke(
        {"messages": [HumanMessage("Go on")]}, config, context=context
    )
    [waiting] = stopped["__interrupt__"]
    answers = [
        {"type": "edit", "edited_action": {"name": "tests.write", "args": {"path": "z"}}},
        {"type": "approve"},
        {"type": "reject", "message": "Keep it."},
    ]
    ended = await conversation.agent.ainvoke(
        Command(resume={"decisions": answers}), config, context=context
    )

    assert waiting.value["action_requests"][0]["name"] == "tests.write"
    assert waiting.value["action_requests"][0]["args"] == {"path": "a"}
    assert waiting.value["review_configs"][0] == {
        "action_name": "tests.write",
        "allowed_decisions": ["approve", "edit", "reject"],
    }
    assert sorted(ran) == [("delete", "b"), ("write", "z")]
    assert "Keep it." in str(ended["messages"])
    assert ended["messages"][-1].text == "Done."
