"""Events as server-sent events and as the objects of a WebSocket."""

import json

from hypothesis import given
from hypothesis import strategies as st

from persistence.event_batches import encode_data
from server.runs.wire import HEARTBEAT, UNNUMBERED, frame, frames, message

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_frame_carries_id_event_and_data():
    assert frame([(3, "token", '{"text":"è"}'.encode())]) == (
        'id: 3\nevent: token\ndata: {"text":"è"}\n\n'.encode()
    )


def test_what_is_not_the_runs_has_no_id():
    assert frame([(UNNUMBERED, "error", b"{}")]) == b"event: error\ndata: {}\n\n"
    assert json.loads(message((UNNUMBERED, "error", b'{"code":"X"}'))) == {
        "type": "error",
        "code": "X",
    }


async def test_silence_is_a_comment():
    async def feed():
        yield ()
        yield [(1, "log", b"1"), (2, "log", b"2")]

    assert [piece async for piece in frames(feed())] == [
        HEARTBEAT,
        b"id: 1\nevent: log\ndata: 1\n\nid: 2\nevent: log\ndata: 2\n\n",
    ]


@given(JSON)
def test_a_frame_is_one_line_of_data_whatever_is_in_it(data):
    body = frame([(1, "log", encode_data(data))])
    assert body.count(b"\n") == 4
    assert b"\r" not in body


@given(JSON)
def test_an_object_carries_the_fields_or_goes_by_the_type(data):
    encoded = encode_data(data)
    shown = json.loads(message((5, "sources", encoded)))
    fields = data if isinstance(data, dict) else {"sources": data}
    assert shown == json.loads(json.dumps({"type": "sources", "id": 5, **fields}))
