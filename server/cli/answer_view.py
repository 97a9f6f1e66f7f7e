"""What a run says, shown in a terminal."""

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from server.cli.events import ServerSentEvent

ARGS_SHOWN_CHARS = 120


class AnswerView:
    """Shows one event after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written = False

    def show(self, event: ServerSentEvent) -> None:
        """Shows an event, if there is anything to be seen of it."""
        data: Any = event.data
        match event.event:
            case "run" if "content" in data:
                self.note("The server was interrupted; the answer goes on from here:")
                if thoughts := data.get("reasoning"):
                    self._write(f"[dim italic]{escape(thoughts)}[/]")
                self._write(escape(data["content"]))
            case "token":
                self._write(escape(data["text"]))
            case "reasoning":
                self._write(f"[dim italic]{escape(data['text'])}[/]")
            case "tool":
                self.line(_tool_line(data))
            case "sources":
                for source in data:
                    self.line(_source_line(source))
            case "log" if "tool" in data:
                self.note(f"{data['tool']}: {data['message']}")
            case "log":
                self.note(data["message"])
            case "error":
                self.line(f"[red]{escape(data['message'])} [{data['code']}][/red]")
            case "done":
                self._end_line()

    def note(self, text: str) -> None:
        """Says something that is not part of the answer."""
        self.line(f"[dim]{escape(text)}[/dim]")

    def line(self, markup: str) -> None:
        """Writes a line of its own."""
        self._end_line()
        self._console.print(markup)

    def _write(self, markup: str) -> None:
        self._console.print(markup, end="", soft_wrap=True)
        self._written = True

    def _end_line(self) -> None:
        if self._written:
            self._console.print()
            self._written = False


def plain(value: object) -> str:
    """JSON in which nothing is hidden: what does not show by itself is written as its code."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each).strip('"') for each in text)


def _tool_line(call: dict[str, Any]) -> str:
    name = escape(call["tool"])
    if call["status"] == "start":
        args = ", ".join(f"{key}={value!r}" for key, value in (call.get("args") or {}).items())
        return f"[cyan]→ {name}[/cyan][dim]({escape(args[:ARGS_SHOWN_CHARS])})[/dim]"
    if call["status"] == "progress":
        return f"[cyan]… {name}[/cyan] [dim]{escape(_progress(call))}[/dim]"
    colour = "green" if call["status"] == "end" else "red"
    preview = " ".join((call.get("result_preview") or "").split())[:ARGS_SHOWN_CHARS]
    brought = "".join(f" {each['kind']}: {each['url']}" for each in call.get("contents", ()))
    told = escape(f"{preview}{brought}")
    return f"[{colour}]← {name}[/{colour}] [dim]{call['latency_ms']} ms {told}[/dim]"


def _progress(call: dict[str, Any]) -> str:
    total = f" of {call['total']:g}" if call.get("total") is not None else ""
    message = call.get("message", "")[:ARGS_SHOWN_CHARS]
    return f"{call['progress']:g}{total} {message}".strip()


def _source_line(source: dict[str, Any]) -> str:
    page = f", page {source['page']}" if source.get("page") else ""
    label = escape(f"[{source['label']}] ") if source.get("cited") else ""
    return f"[dim]• {label}{escape(source['title'])}{page}  {escape(source['url'])}[/dim]"
