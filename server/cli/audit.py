"""`youworker audit`: checks and exports the trail, straight from the database."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from pydantic import ValidationError

from persistence.errors import PersistenceError
from server.audit.schemas import AuditQuery
from server.errors import BadRequest, ConfigurationError
from server.settings import load_settings

if TYPE_CHECKING:
    from persistence.audit_verification import ChainReport
    from persistence.repositories.audit_seals import SealLink

EXIT_WHOLE = 0
EXIT_BROKEN = 1
EXIT_UNKNOWN = 3
"""The trail cannot be checked: no database, no keys, or others than it was written with."""
DIGEST_BYTES = 32

app = typer.Typer(help="Check and export the audit trail.", no_args_is_help=True)


@app.command("verify")
def verify_trail(
    since_head: Annotated[
        str | None,
        typer.Option(metavar="POSITION:DIGEST", help="An end of the chain that was seen earlier."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Check that no entry was changed, removed or slipped in.

    Exit codes: 0 whole, 1 broken, 3 cannot be checked.
    """
    from server.cli.audit_trail import verify

    since = _parse_head(since_head) if since_head else None
    try:
        report = asyncio.run(verify(load_settings(), since))
    except (ConfigurationError, PersistenceError, ValueError) as exc:
        typer.secho(f"youworker: the audit trail cannot be checked: {exc}", fg="red", err=True)
        sys.exit(EXIT_UNKNOWN)
    typer.echo(json.dumps(_as_json(report)) if as_json else _as_text(report))
    sys.exit(EXIT_WHOLE if report.is_whole else EXIT_BROKEN)


@app.command("forget-head")
def forget_head() -> None:
    """Take the chain as it is, such as after an older backup was restored.

    This server seals only on a chain that holds the newest seal that it remembers. Verify first:
    what was lost or made anew since then can be told afterwards by an exported head alone.
    """
    from server.cli import audit_trail

    try:
        asyncio.run(audit_trail.forget_head(load_settings()))
    except (ConfigurationError, PersistenceError, ValueError) as exc:
        typer.secho(f"youworker: the head cannot be forgotten: {exc}", fg="red", err=True)
        sys.exit(EXIT_UNKNOWN)


@app.command("export")
def export_trail(
    file: Annotated[
        Path, typer.Argument(help="Where to; '-' is the standard output.", allow_dash=True)
    ] = Path("-"),
    actor_id: Annotated[int | None, typer.Option(help="Acts of this user.")] = None,
    action: Annotated[
        str | None, typer.Option(help="An action, or a noun for all that was done to such.")
    ] = None,
    resource_type: Annotated[str | None, typer.Option(help="Acts on such things.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="With --resource-type.")] = None,
    success: Annotated[
        bool | None, typer.Option("--succeeded/--failed", help="By how it ended.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="UTC; not included.")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="Of this request.")] = None,
    group_id: Annotated[int | None, typer.Option(help="Acts on this group.")] = None,
) -> None:
    """Write entries as lines of JSON, newest first; the last line has the head of the chain."""
    conditions = {
        "actor_id": actor_id,
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "success": success,
        "since": since.replace(tzinfo=UTC) if since else None,
        "until": until.replace(tzinfo=UTC) if until else None,
        "correlation_id": correlation_id,
        "group_id": group_id,
    }
    try:
        given = AuditQuery.model_validate(conditions).conditions
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        raise typer.BadParameter(f"{fault['loc'][-1]}: {fault['msg']}") from exc
    _export(file, given)


def _export(file: Path, conditions: dict[str, Any]) -> None:
    from server.cli.audit_trail import export

    settings = load_settings()
    try:
        if str(file) == "-":
            asyncio.run(export(settings, sys.stdout.buffer, conditions))
            return
        with _new_file(file) as target:
            asyncio.run(export(settings, target, conditions))
    except BadRequest as exc:
        raise typer.BadParameter(str(exc)) from exc


def _parse_head(text: str) -> tuple[int, bytes]:
    position, _, digest = text.partition(":")
    try:
        head = int(position), bytes.fromhex(digest)
    except ValueError as exc:
        raise typer.BadParameter("--since-head is POSITION:DIGEST") from exc
    if head[0] < 1 or len(head[1]) != DIGEST_BYTES:
        raise typer.BadParameter("--since-head is POSITION:DIGEST")
    return head


def _as_json(report: "ChainReport") -> dict[str, Any]:
    return {
        "whole": report.is_whole,
        "seals": report.seals,
        "entries": report.entries,
        "waiting": report.waiting,
        "faults": report.faults,
        "first_fault": asdict(report.first_fault) if report.first_fault else None,
        "late_seals": report.late_seals,
        "first_late_seal": report.first_late_seal,
        "remembered": _head_as_json(report.remembered),
        "head": _head_as_json(report.head),
    }


def _head_as_json(head: "SealLink | None") -> dict[str, Any] | None:
    return {"position": head.position, "digest": head.digest.hex()} if head else None


def _as_text(report: "ChainReport") -> str:
    counts = f"{report.entries} entries under {report.seals} seals, {report.waiting} waiting"
    if report.late_seals:
        counts += (
            f"; warning: {report.late_seals} of the seals, the first at position "
            f"{report.first_late_seal}, were made more than 15 minutes after their entries"
        )
    if report.first_fault is not None:
        found = f"broken: {report.first_fault.sentence}"
        where = f" (seal {report.first_fault.position})" if report.first_fault.position else ""
        return f"{found}{where}; {report.faults} faults in {counts}"
    head = f"; head {report.head.position}:{report.head.digest.hex()}" if report.head else ""
    return f"whole: {counts}{head}"


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears when it is whole; its owner alone may read who did what from where."""
    if path.exists():
        raise typer.BadParameter(f"{str(path)!r} exists already")
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as exc:
        raise typer.BadParameter(f"{str(path)!r} cannot be written ({exc.strerror})") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(draft).rename(path)
    finally:
        Path(draft).unlink(missing_ok=True)
