"""From the events of a run to an answer."""

import time
from collections.abc import Callable
from typing import Any

from evals.target.answer import Answer, CalledTool, FoundSource
from evals.target.failed_run import RunFailed
from server.cli.events import ServerSentEvent


class AnswerReader:
    """Takes the events of one run, in their order, as they come."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started = clock()
        self._ended: float | None = None
        self._first_token: float | None = None
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[str, CalledTool] = {}
        self._sources: list[FoundSource] = []
        self._error: dict[str, Any] | None = None
        self._metadata: dict[str, Any] = {}
        self._run_id = ""
        self._session_id = ""

    def take(self, event: ServerSentEvent) -> None:
        """Keeps what an event tells."""
        data: Any = event.data
        match event.event:
            case "run":
                self._begin(data)
            case "token":
                if self._first_token is None:
                    self._first_token = self._clock()
                self._content.append(data["text"])
            case "reasoning":
                self._reasoning.append(data["text"])
            case "tool":
                self._take_call(data)
            case "approval":
                self._calls[f"asked {data['approval_id']}"] = CalledTool(
                    name=data["tool"], arguments=data["args"], status="asked"
                )
            case "sources":
                self._sources = [_source(each) for each in data]
            case "error":
                self._error = data
            case "done":
                self._metadata = data["metadata"]
                self._ended = self._clock()

    def answer(self) -> Answer:
        """What all of them came to.

        Raises:
            RunFailed: The run ended with an error.
        """
        status = str(self._metadata.get("status", ""))
        if status not in {"success", "cancelled", "awaiting_approval"}:
            error = self._error or {"code": "NO_END", "message": "the run told of no end."}
            raise RunFailed(
                f"run {self._run_id}: {error['message']}",
                code=error["code"],
                partial=self._told("error"),
            )
        return self._told(status)

    def _told(self, status: str) -> Answer:
        citations = self._metadata.get("citations") or {}
        return Answer(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            status=status,
            calls=tuple(self._calls.values()),
            sources=tuple(self._sources),
            unknown_citations=tuple(citations.get("unknown", ())),
            seconds=(self._ended or self._clock()) - self._started,
            first_token_seconds=self._first_token and self._first_token - self._started,
            tokens_in=self._metadata.get("tokens_in", 0),
            tokens_out=self._metadata.get("tokens_out", 0),
            steps=self._metadata.get("iterations", 0),
            run_ids=(self._run_id,),
            session_id=self._session_id,
        )

    def _begin(self, data: dict[str, Any]) -> None:
        self._run_id, self._session_id = data["run_id"], data["session_id"]
        if "content" in data:  # another process goes on from exactly there
            self._content = [data["content"]]
            self._reasoning = [data.get("reasoning", "")]

    def _take_call(self, data: dict[str, Any]) -> None:
        call_id, status = data["call_id"], data["status"]
        if status == "start":
            self._calls[call_id] = CalledTool(
                name=data["tool"], arguments=data.get("args") or {}, status="open"
            )
            return
        begun = self._calls.get(call_id)
        latency_ms = data.get("latency_ms")
        self._calls[call_id] = CalledTool(
            name=data["tool"],
            arguments=begun.arguments if begun else {},
            status="error" if status == "error" else "end",
            seconds=None if latency_ms is None else latency_ms / 1000,
            result=data.get("result_preview") or "",
        )


def _source(data: dict[str, Any]) -> FoundSource:
    return FoundSource(
        filename=data.get("filename") or data["title"],
        title=data["title"],
        page=data.get("page"),
        label=data.get("label"),
        cited=bool(data.get("cited")),
        snippet=data.get("snippet", ""),
        id=str(data.get("id", "")),
    )
