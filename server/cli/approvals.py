"""Tool calls that wait for a person: the person at the terminal is asked."""

import json
import readline
import sys
from collections.abc import Callable
from typing import Any

from rich.markup import escape

from server.cli.answer_view import AnswerView, plain
from server.cli.connection import Api, ApiFailure

NOBODY_THERE = "Nobody was there to allow it."
"""Told to the model."""
_TOO_LATE = {"APPROVAL_DECIDED", "APPROVAL_EXPIRED", "APPROVAL_NOT_FOUND"}


class ApprovalDialog:
    """Puts what a run asks to the person at the terminal; without one everything is refused."""

    def __init__(self, api: Api, view: AnswerView) -> None:
        self._api = api
        self._view = view

    @property
    def has_person(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty()

    def settle(self, run_id: str) -> bool:
        """Has everything answered that the caller may answer.

        Returns:
            Whether something of the run still waits for somebody else.

        Raises:
            ApiFailure: The server refused or could not be reached.
        """
        query = {"run_id": run_id, "status": "pending", "limit": "100"}
        asked = self._api.request("GET", "/v1/approvals", params=query)["approvals"]
        for approval in reversed(asked):
            if approval["may_answer"]:
                self._show(approval)
                self._answer(approval)
        elsewhere = [each for each in asked if not each["may_answer"]]
        for approval in elsewhere:
            self._show(approval)
            self._view.note("An admin of the group has to allow this; waiting.")
        return bool(elsewhere)

    def _show(self, approval: dict[str, Any]) -> None:
        say = self._view.line
        say(f"[bold yellow]? {escape(approval['tool'])}[/bold yellow] waits for permission")
        for name, value in approval["args"].items():
            say(f"    {escape(plain(name))}: {escape(plain(value))}")
        if approval["cause"] == "interrupted":
            say("  The call had begun when its server died, and may have taken effect already.")
        if approval["reason"]:
            say(f"  {escape(approval['reason'])}")

    def _answer(self, approval: dict[str, Any]) -> None:
        while True:
            answer = self._ask(approval)
            body = {"decisions": {approval["approval_id"]: answer}}
            try:
                self._api.request("POST", f"/v1/runs/{approval['run_id']}/resume", json=body)
            except ApiFailure as exc:
                if exc.code not in {"INVALID_ARGUMENTS", "VALIDATION_ERROR", *_TOO_LATE}:
                    raise
                self._view.line(f"[red]{escape(str(exc))}[/red]")
                if exc.code not in _TOO_LATE:
                    continue
            return

    def _ask(self, approval: dict[str, Any]) -> dict[str, Any]:
        if not self.has_person:
            self._view.line(
                "[red]refused[/red]: this needs a person's permission, and the input is no terminal"
            )
            return {"decision": "refuse", "reason": NOBODY_THERE}
        may_edit = approval["cause"] != "interrupted"
        prompt = "  [a]llow, [e]dit or [r]efuse? " if may_edit else "  [a]llow or [r]efuse? "
        try:
            while True:
                match input(prompt).strip().lower():
                    case "a" | "allow":
                        return {"decision": "allow"}
                    case "e" | "edit" if may_edit:
                        return {"decision": "edit", "args": self._ask_args(approval["args"])}
                    case "r" | "refuse":
                        return {"decision": "refuse", "reason": input("  Why? (may be empty) ")}
        except EOFError:
            self._view.line("[red]refused[/red]")
            return {"decision": "refuse", "reason": NOBODY_THERE}

    def _ask_args(self, args: dict[str, Any]) -> dict[str, Any]:
        text = plain(args)
        while True:
            text = _input_over("  Arguments: ", text)
            try:
                edited = json.loads(text)
            except ValueError:
                edited = None
            if isinstance(edited, dict):
                return edited
            self._view.line("[red]That is no JSON object.[/red]")


def _input_over(prompt: str, text: str, read: Callable[[str], str] = input) -> str:
    """Asks for a line that begins as what there is already."""
    readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        return read(prompt)
    finally:
        readline.set_startup_hook(None)
