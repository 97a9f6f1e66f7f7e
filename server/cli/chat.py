"""A conversation in the terminal."""

import readline  # noqa: F401 - gives input() line editing and history
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.markup import escape

from server.cli.connection import Api, ApiFailure
from server.cli.events import ServerSentEvent, read_events

ARGS_SHOWN_CHARS = 120


class Conversation:
    """Questions typed, answers streamed, one session."""

    def __init__(
        self,
        api: Api,
        *,
        session_id: str | None = None,
        model: str | None = None,
        enable_tools: bool = True,
        console: Console | None = None,
    ) -> None:
        self._api = api
        self._session_id = session_id or uuid4().hex
        self._options = {"model": model, "enable_tools": enable_tools}
        self._console = console or Console(highlight=False)
        self._run_id: str | None = None
        self._written = False

    def run(self) -> bool:
        """Asks until end of input; true, for a conversation ends well however it went."""
        say = self._console.print
        say(f"[dim]{escape(self._api.url)}, session {self._session_id}[/dim]")
        say("[dim]Ctrl-C stops an answer, Ctrl-D ends.[/dim]")
        while True:
            try:
                text = input("\n> ").strip()
            except (EOFError, KeyboardInterrupt):
                say()
                say(f"[dim]Go on with: youworker chat --session {self._session_id}[/dim]")
                return True
            if text:
                try:
                    self.ask(_readable(text))
                except ApiFailure as exc:
                    say(f"[red]{escape(str(exc))}[/red]")

    def ask(self, text: str) -> bool:
        """Asks once and shows the answer as it comes.

        Returns:
            Whether the run succeeded.

        Raises:
            ApiFailure: The server refused or the connection broke off.
        """
        body = {"text_input": text, "session_id": self._session_id, **self._options}
        self._run_id, self._written = None, False
        try:
            with self._api.stream("/v1/chat/stream", body) as answer:
                ended_well = False
                for event in read_events(answer.iter_lines()):
                    ended_well = self._show(event)
        except KeyboardInterrupt:
            return self._stop()
        return ended_well

    def _stop(self) -> bool:
        if self._run_id is not None:
            self._api.request("POST", f"/v1/runs/{self._run_id}/cancel")
        self._end_line()
        self._console.print("[yellow]stopped[/yellow]")
        return False

    def _show(self, event: ServerSentEvent) -> bool:
        """Shows an event; true when it is the end of a run that succeeded."""
        data: Any = event.data
        match event.event:
            case "run":
                self._run_id = data["run_id"]
            case "token":
                self._console.print(escape(data["text"]), end="", soft_wrap=True)
                self._written = True
            case "reasoning":
                self._console.print(
                    f"[dim italic]{escape(data['text'])}[/]", end="", soft_wrap=True
                )
                self._written = True
            case "tool":
                self._end_line()
                self._console.print(_tool_line(data))
            case "sources":
                self._end_line()
                for source in data:
                    self._console.print(_source_line(source))
            case "log":
                self._end_line()
                self._console.print(f"[dim]{escape(data['message'])}[/dim]")
            case "error":
                self._end_line()
                self._console.print(f"[red]{escape(data['message'])} [{data['code']}][/red]")
            case "done":
                self._end_line()
                return bool(data["metadata"]["status"] == "success")
        return False

    def _end_line(self) -> None:
        if self._written:
            self._console.print()
            self._written = False


def _readable(text: str) -> str:
    """What was piped in another encoding shows its odd bytes as such, and does no other harm."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _tool_line(call: dict[str, Any]) -> str:
    name = escape(call["tool"])
    if call["status"] == "start":
        args = ", ".join(f"{key}={value!r}" for key, value in (call.get("args") or {}).items())
        return f"[cyan]→ {name}[/cyan][dim]({escape(args[:ARGS_SHOWN_CHARS])})[/dim]"
    colour = "green" if call["status"] == "end" else "red"
    preview = " ".join((call.get("result_preview") or "").split())[:ARGS_SHOWN_CHARS]
    return f"[{colour}]← {name}[/{colour}] [dim]{call['latency_ms']} ms {escape(preview)}[/dim]"


def _source_line(source: dict[str, Any]) -> str:
    page = f", page {source['page']}" if source.get("page") else ""
    return f"[dim]• {escape(source['title'])}{page}  {escape(source['url'])}[/dim]"
