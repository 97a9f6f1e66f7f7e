"""What people were asked about tool calls, and what they answered."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import DateTime, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.approval_records import Approval, ApprovalAnswer, ApprovalStatus, NewApproval
from persistence.errors import AccessDenied, NotFound
from persistence.identifiers import plain_uuid
from persistence.models import approvals, groups, runs, users
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.given_rows import given_rows
from persistence.transaction import Row

UNANSWERED = "Nobody answered in time."
"""Why a call is refused whose approval has expired; the model reads it."""

_STATUS_OF: dict[str, ApprovalStatus] = {"allow": "allowed", "edit": "edited", "refuse": "refused"}
_DECISION_OF = {"allowed": "allow", "edited": "edit", "refused": "refuse", "expired": "refuse"}
# A literal, not a parameter: only then can the database tell that its partial indexes apply.
_PENDING = approvals.c.status == literal_column("'pending'")
_RUN: ColumnElement[Any] = bindparam("run", type_=Uuid)
_STATUS: ColumnElement[Any] = bindparam("status", type_=Text)
_NOW: ColumnElement[Any] = bindparam("now", type_=DateTime(timezone=True))
_ASKED: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "group_id": BigInteger(),
    "approver": Text(),
    "call_id": Text(),
    "tool": Text(),
    "body": LargeBinary(),
}
_DECIDED: dict[str, TypeEngine[Any]] = {"id": Uuid(), "status": Text(), "decision": LargeBinary()}


def _build_ask(guard: Guard) -> Any:
    """Insert any number of rows in one round trip, each guarded by its run.

    A group that ended since the rule was read is left out.
    """
    given = given_rows(_ASKED)
    group = select(groups.c.id).where(groups.c.id == given.c.group_id, guard.member(groups.c.id))
    values: dict[str, ColumnElement[Any]] = {
        **{name: given.c[name] for name in _ASKED},
        "group_id": group.scalar_subquery(),
        "run_id": runs.c.id,
        "user_id": runs.c.user_id,
        "expires_at": bindparam("expires", type_=DateTime(timezone=True)),
    }
    rows = select(*values.values()).where(runs.c.id == _RUN, guard.owned(runs.c.user_id))
    columns = list(values)
    return upsert(approvals).from_select(columns, rows).on_conflict_do_nothing()


def _build_decide(guard: Guard) -> Any:
    given = given_rows(_DECIDED)
    return (
        update(approvals)
        .where(
            approvals.c.id == given.c.id,
            approvals.c.run_id == _RUN,
            _PENDING,
            approvals.c.expires_at > _NOW,
            guard.may_answer(approvals),
        )
        .values(
            status=given.c.status,
            decision=given.c.decision,
            decided_by=bindparam("decider", type_=BigInteger),
            decided_at=_NOW,
        )
    )


def _select_approvals(guard: Guard) -> Select[Any]:
    return (
        select(approvals, users.c.username, guard.may_answer(approvals).label("may_answer"))
        .outerjoin(users, users.c.id == approvals.c.user_id)
        .where(guard.approval(approvals))
    )


_FILTERS = (
    or_(_RUN.is_(None), approvals.c.run_id == _RUN),
    or_(_STATUS.is_(None), approvals.c.status == _STATUS),
)
_ASK = ScopedStatement(_build_ask)
_DECIDE = ScopedStatement(_build_decide)
_OF_IDS = ScopedStatement(
    lambda guard: (
        _select_approvals(guard)
        .where(approvals.c.id == bindparam("ids", type_=ARRAY(Uuid)).any_())
        .order_by(approvals.c.id)
    )
)
_OF_RUN = ScopedStatement(
    lambda guard: (
        _select_approvals(guard)
        .where(approvals.c.run_id == _RUN)
        .order_by(approvals.c.created_at, approvals.c.id)
    )
)
_OF_RUNS = ScopedStatement(
    lambda guard: (
        _select_approvals(guard)
        .where(approvals.c.run_id == bindparam("run_ids", type_=ARRAY(Uuid)).any_())
        .order_by(approvals.c.created_at, approvals.c.id)
    )
)
_LOCK_OF_RUN = ScopedStatement(
    lambda guard: (
        _select_approvals(guard)
        .where(approvals.c.run_id == _RUN)
        .order_by(approvals.c.id)  # in one order, so that two who answer do not wait for each other
        .with_for_update(of=approvals)
    )
)
_LIST = ScopedStatement(
    lambda guard: (
        _select_approvals(guard)
        .where(*_FILTERS)
        .order_by(approvals.c.created_at.desc(), approvals.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count()).select_from(approvals).where(guard.approval(approvals), *_FILTERS)
    )
)
_EXPIRE = ScopedStatement(
    lambda guard: (
        update(approvals)
        .where(
            approvals.c.id.in_(
                select(approvals.c.id)
                .where(_PENDING, approvals.c.expires_at <= _NOW, guard.owned(approvals.c.user_id))
                .order_by(approvals.c.id)
                # Who answers at this moment is not waited for: the two could wait for each other.
                .with_for_update(skip_locked=True)
                .correlate(None)
            )
        )
        .values(status="expired", decided_at=_NOW)
        .returning(approvals.c.id)
    )
)
_WITHDRAW = ScopedStatement(
    lambda guard: (
        update(approvals)
        .where(_PENDING, approvals.c.run_id == _RUN, guard.owned(approvals.c.user_id))
        .values(status="withdrawn", decided_at=func.now())
    )
)


class ApprovalRepository(Repository):
    """One sees what one was asked, and as a group's admin what its members wait for."""

    async def ask(
        self, run_id: UUID, requests: Sequence[NewApproval], *, expires_at: datetime
    ) -> list[Approval]:
        """Put calls of a run to people; return the approvals in the order of the requests.

        The same request again is the same approval, whatever has become of it.

        Raises:
            NotFound: The scope sees no such run.
        """
        if not requests:
            return []
        ids = [uuid5(run_id, request.request_id) for request in requests]
        parameters = {
            "run": run_id,
            "expires": expires_at,
            "id": ids,
            "group_id": [request.group_id for request in requests],
            "approver": [request.approver for request in requests],
            "call_id": [request.call_id for request in requests],
            "tool": [request.tool for request in requests],
            "body": [self._seal(*each) for each in zip(ids, requests, strict=True)],
        }
        await self._change(_ASK.under(self._scope), parameters)
        asked = {each.id: each for each in await self._of_ids(ids)}
        if len(asked) != len(set(ids)):
            raise NotFound("no such run")
        return [asked[approval_id] for approval_id in ids]

    async def of_run(self, run_id: UUID, *, lock: bool = False) -> list[Approval]:
        """Return all approvals of a run that the scope sees.

        Args:
            run_id: The run.
            lock: Let nobody else decide them until the unit of work ends.
        """
        statement = _LOCK_OF_RUN if lock else _OF_RUN
        rows = await self._all(statement.under(self._scope), {"run": run_id})
        return [self._read(row) for row in rows]

    async def of_runs(self, run_ids: Collection[UUID]) -> list[Approval]:
        """Return all approvals of these runs that the scope sees, the oldest first."""
        rows = await self._all(_OF_RUNS.under(self._scope), {"run_ids": run_ids})
        return [self._read(row) for row in rows]

    async def runs_of(self, approval_ids: Collection[UUID]) -> set[UUID]:
        """Return the runs to which those of the approvals belong that the scope sees."""
        return {each.run_id for each in await self._of_ids(list(approval_ids))}

    async def decisions(self, run_id: UUID) -> dict[str, ApprovalAnswer]:
        """Return what was answered to a run's requests, by the requests' ids.

        Nobody's answer in time is a refusal; what is still open is left out.
        """
        return {
            each.request_id: _answer(each)
            for each in await self.of_run(run_id)
            if each.status in _DECISION_OF
        }

    async def decide(
        self, run_id: UUID, answers: Mapping[UUID, ApprovalAnswer], *, now: datetime
    ) -> None:
        """Take all the answers to approvals of a run.

        Raises:
            AccessDenied: One of them is not open, or not the scope's user to answer; nothing of
                this unit of work may be committed then.
        """
        if self._scope.sees_all:
            raise AccessDenied("an approval is answered by a person")
        parameters = {
            "run": run_id,
            "now": now,
            "decider": self._scope.user_id,
            "id": list(answers),
            "status": [_STATUS_OF[answer.decision] for answer in answers.values()],
            "decision": [self._seal_answer(*each) for each in answers.items()],
        }
        if await self._change(_DECIDE.under(self._scope), parameters) != len(answers):
            raise AccessDenied("not all of the approvals may be answered")

    async def expire(self, now: datetime) -> Sequence[Approval]:
        """Close the approvals whose time is over; return them."""
        rows = await self._all(_EXPIRE.under(self._scope), {"now": now})
        return await self._of_ids([row["id"] for row in rows]) if rows else []

    async def withdraw(self, run_id: UUID) -> int:
        """Close what is still open of a run that will not go on; return how many there were."""
        return await self._change(_WITHDRAW.under(self._scope), {"run": run_id})

    async def list(
        self,
        *,
        run_id: UUID | None = None,
        status: ApprovalStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Approval]:
        """Return what the scope's user was asked and what the user may answer for others.

        The newest comes first.
        """
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {"run": run_id, "status": status},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def _of_ids(self, ids: Collection[UUID]) -> Sequence[Approval]:
        rows = await self._all(_OF_IDS.under(self._scope), {"ids": ids})
        return [self._read(row) for row in rows]

    def _seal(self, approval_id: UUID, request: NewApproval) -> bytes:
        body = {
            "request_id": request.request_id,
            "args": dict(request.args),
            "reason": request.reason,
            "cause": request.cause,
        }
        return self._key_ring.encrypt_json(body, context=f"approvals.body/{approval_id}")

    def _seal_answer(self, approval_id: UUID, answer: ApprovalAnswer) -> bytes:
        decision = {"args": answer.args, "reason": answer.reason}
        return self._key_ring.encrypt_json(decision, context=f"approvals.decision/{approval_id}")

    def _read(self, row: Row) -> Approval:
        approval_id = plain_uuid(row["id"])
        body = self._key_ring.decrypt_json(row["body"], context=f"approvals.body/{approval_id}")
        decision: dict[str, Any] = {"args": None, "reason": ""}
        if row["decision"] is not None:
            decision = self._key_ring.decrypt_json(
                row["decision"], context=f"approvals.decision/{approval_id}"
            )
        return Approval(
            id=approval_id,
            run_id=plain_uuid(row["run_id"]),
            user_id=row["user_id"],
            username=row["username"],
            may_answer=row["may_answer"],
            group_id=row["group_id"],
            approver=row["approver"],
            call_id=row["call_id"],
            tool=row["tool"],
            status=row["status"],
            edited_args=decision["args"],
            refusal=decision["reason"],
            decided_by=row["decided_by"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            decided_at=row["decided_at"],
            **body,
        )


def _answer(approval: Approval) -> ApprovalAnswer:
    if approval.status == "expired":
        return ApprovalAnswer(decision="refuse", reason=UNANSWERED)
    return ApprovalAnswer(
        decision=_DECISION_OF[approval.status],  # type: ignore[arg-type]
        args=approval.edited_args,
        reason=approval.refusal,
    )
