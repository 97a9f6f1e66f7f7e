"""Reading server-sent events on the client's side."""

from server.cli.events import ServerSentEvent, read_events


def test_events_are_read_in_order_and_comments_passed_over():
    lines = ["id: 1", "event: run", 'data: {"run_id":"r"}', "", ": heartbeat", "",
             "id: 2", "event: done", "data: {}", ""]  # fmt: skip
    assert list(read_events(lines)) == [
        ServerSentEvent(event="run", data={"run_id": "r"}, id=1),
        ServerSentEvent(event="done", data={}, id=2),
    ]


def test_an_event_that_broke_off_is_not_delivered():
    assert list(read_events(["event: token", 'data: {"te'])) == []
