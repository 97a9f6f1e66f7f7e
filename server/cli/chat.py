"""A conversation in the terminal."""

import readline  # noqa: F401 - gives input() line editing and history
from collections.abc import Iterator
from uuid import uuid4

from rich.console import Console
from rich.markup import escape

from server.cli.answer_view import AnswerView
from server.cli.approvals import ApprovalDialog
from server.cli.connection import Api, ApiFailure
from server.cli.events import ServerSentEvent
from server.cli.questions import QuestionDialog
from server.cli.run_events import RunEvents


class Conversation:
    """Questions typed, answers streamed, one session."""

    def __init__(
        self,
        api: Api,
        *,
        session_id: str | None = None,
        model: str | None = None,
        enable_tools: bool = True,
        enqueue: bool = False,
        console: Console | None = None,
    ) -> None:
        """Args: enqueue: while the session is answering, messages wait instead of being refused."""
        self._api = api
        self._session_id = session_id or uuid4().hex
        self._enqueue = enqueue
        self._options = {
            "model": model,
            "enable_tools": enable_tools,
            "multitask": "enqueue" if enqueue else "reject",
        }
        self._console = console or Console(highlight=False)
        self._view = AnswerView(self._console)
        self._dialog = ApprovalDialog(api, self._view)
        self._questions = QuestionDialog(api, self._view)

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
                    self._view.line(f"[red]{escape(str(exc))}[/red]")

    def ask(self, text: str) -> bool:
        """Asks once and shows the answer as it comes; asks the person what the run has to ask.

        Returns:
            Whether the run succeeded.

        Raises:
            ApiFailure: The server refused, or stayed away.
        """
        body = {"text_input": text, "session_id": self._session_id, **self._options}
        events = RunEvents(
            self._api,
            on_lost=lambda: self._view.note("The connection broke off; coming back to the answer."),
        )
        try:
            status = self._show(events.ask(body), events)
            while status == "awaiting_approval" and self._settle(events):
                status = self._show(events.go_on(), events)
        except KeyboardInterrupt:
            return self._stop(events.run_id)
        return status == "success"

    def _show(self, coming: Iterator[ServerSentEvent], events: RunEvents) -> str:
        """Shows what comes; returns with which status it ends."""
        status = ""
        for event in coming:
            self._view.show(event)
            if event.event == "question":
                self._questions.take(str(events.run_id), event.data)
            if event.event == "run" and event.id == 1 and self._enqueue:
                self._tell_of_queue(events)
            if event.event == "done":
                status = str(event.data["metadata"]["status"])
        return status

    def _tell_of_queue(self, events: RunEvents) -> None:
        if self._api.request("GET", f"/v1/runs/{events.run_id}")["status"] == "queued":
            self._view.note("Waiting: the session is still answering another message.")

    def _settle(self, events: RunEvents) -> bool:
        """Has the run's questions answered; whether its end is to be waited for here."""
        run_id = str(events.run_id)
        if self._dialog.settle(run_id) and not self._dialog.has_person:
            self._view.line(
                f"[red]Run {run_id} waits for an admin; its answer will be in the session.[/red]"
            )
            return False
        return True

    def _stop(self, run_id: str | None) -> bool:
        if run_id is not None:
            self._api.request("POST", f"/v1/runs/{run_id}/cancel")
        self._view.line("[yellow]stopped[/yellow]")
        return False


def _readable(text: str) -> str:
    """What was piped in another encoding shows its odd bytes as such, and does no other harm."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
