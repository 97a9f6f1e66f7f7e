"""What tools' servers ask while a call runs: the person at the terminal answers."""

import sys
from typing import Any

from rich.markup import escape

from server.cli.answer_view import AnswerView
from server.cli.connection import Api, ApiFailure
from server.cli.form_fields import FormField

_TOO_LATE = {"QUESTION_ANSWERED", "QUESTION_EXPIRED", "QUESTION_NOT_FOUND"}
_UNFIT = {"INVALID_CONTENT", "VALIDATION_ERROR"}
_PROMPTS = {
    "form": "  [a]nswer, [d]ecline or [c]ancel? ",
    "url": "  Open it, then say: [a] done, [d]ecline or [c]ancel? ",
    "sampling": "  May the model answer this? [a] yes or [d]ecline? ",
}


class QuestionDialog:
    """Puts questions to the person at the terminal, while the run waits for the answers.

    Without a person they are left open: somebody else may answer until their time is over.
    """

    def __init__(self, api: Api, view: AnswerView) -> None:
        self._api = api
        self._view = view
        self._answered: set[str] = set()

    def take(self, run_id: str, event: dict[str, Any]) -> None:
        """Takes a `question` event of a run.

        Raises:
            ApiFailure: The server refused or could not be reached.
        """
        question_id = event["question_id"]
        if event["status"] != "open":
            if question_id not in self._answered:
                self._view.note(f"The question is over: {event['status']}.")
            return
        # In a replay it may have been answered long ago.
        query = {"run_id": run_id, "status": "open", "limit": "100"}
        asked = self._api.request("GET", "/v1/questions", params=query)["questions"]
        for question in asked:
            if question["question_id"] == question_id:
                self._settle(question)

    def _settle(self, question: dict[str, Any]) -> None:
        self._show(question)
        if not sys.stdin.isatty():
            path = f"/v1/runs/{question['run_id']}/answers"
            self._view.note(
                "A person has to answer this, and the input is no terminal. It waits until "
                f"{question['expires_at']} for POST {path} with "
                f'{{"answers": {{"{question["question_id"]}": {{"action": …}}}}}}.'
            )
            return
        while True:
            answer = self._ask(question)
            try:
                self._send(question, answer)
            except ApiFailure as exc:
                if exc.code not in {*_UNFIT, *_TOO_LATE}:
                    raise
                self._view.line(f"[red]{escape(str(exc))}[/red]")
                if exc.code in _UNFIT:
                    continue
            return

    def _show(self, question: dict[str, Any]) -> None:
        say = self._view.line
        say(f"[bold yellow]? {escape(question['tool'])}[/bold yellow] asks:")
        for line in question["message"].splitlines():
            say(f"    {escape(line)}")
        if question["url"]:
            say(f"    {escape(question['url'])}")

    def _send(self, question: dict[str, Any], answer: dict[str, Any]) -> None:
        body = {"answers": {question["question_id"]: answer}}
        self._api.request("POST", f"/v1/runs/{question['run_id']}/answers", json=body)
        self._answered.add(question["question_id"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            while True:
                match input(_PROMPTS[question["kind"]]).strip().lower():
                    case "a" | "answer" | "y" | "yes":
                        if question["kind"] != "form":
                            return {"action": "accept"}
                        content = self._fill_in(question["schema"])
                        return {"action": "accept", "content": content}
                    case "d" | "decline" | "n" | "no":
                        return {"action": "decline"}
                    case "c" | "cancel":
                        return {"action": "cancel"}
        except EOFError:
            self._view.line("[red]declined[/red]")
            return {"action": "decline"}

    def _fill_in(self, schema: dict[str, Any]) -> dict[str, Any]:
        filled = {}
        for name, field in schema["properties"].items():
            asked = FormField(name, field, is_required=name in schema.get("required", ()))
            for line in asked.explanation:
                self._view.line(f"    [dim]{escape(line)}[/dim]")
            while True:
                try:
                    value = asked.read(input(f"  {asked.prompt}: "))
                except ValueError as exc:
                    self._view.line(f"[red]{escape(str(exc))}[/red]")
                else:
                    break
            if value is not None:
                filled[name] = value
        return filled
