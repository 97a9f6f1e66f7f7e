from langchain_core.tools import tool

from graph.approvals import ProposedCall
from graph.toolbox import KEPT_TOOLBOXES, Toolbox, Toolboxes


@tool("clock__now")
async def now(zone: str) -> str:
    """Tell the time."""
    return zone


def test_tools_are_described_to_models_once():
    toolbox = Toolbox([now])

    [schema] = toolbox.schemas
    assert schema["function"]["name"] == "clock__now"
    assert schema["function"]["parameters"]["required"] == ["zone"]
    assert toolbox.schemas is toolbox.schemas


def test_a_tool_is_found_by_the_name_it_has_for_models_and_for_people():
    toolbox = Toolbox([now])

    assert toolbox.find("clock__now") is toolbox.find("clock.now") is now
    assert toolbox.find("clock") is None
    assert not toolbox.knows("now")


def test_the_same_tools_share_a_toolbox():
    toolboxes = Toolboxes()

    assert toolboxes.of([now]) is toolboxes.of((now,))
    assert toolboxes.of([now]) is not toolboxes.of([now.model_copy()])


def test_only_the_toolboxes_used_last_are_kept():
    toolboxes = Toolboxes()
    kept = toolboxes.of([now])
    for _ in range(KEPT_TOOLBOXES - 1):
        toolboxes.of([now.model_copy()])
    assert toolboxes.of([now]) is kept

    for _ in range(KEPT_TOOLBOXES):
        toolboxes.of([now.model_copy()])

    assert toolboxes.of([now]) is not kept


def test_a_tool_that_says_nothing_of_itself_is_proposed_as_one_that_must_not_be_repeated():
    call = {"name": "clock.now", "args": {"zone": "UTC"}, "id": "1", "type": "tool_call"}

    proposed = Toolbox([now]).propose(call)

    assert proposed == ProposedCall(
        call_id="1", tool="clock__now", args={"zone": "UTC"}, read_only=False, repeatable=False
    )
    assert Toolbox([]).propose(call) is None
