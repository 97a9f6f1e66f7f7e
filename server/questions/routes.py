"""The routes of questions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from server.dependencies import Caller, Limit, Offset, RequestOrigin, provided
from server.error_responses import responses
from server.errors import (
    InvalidContent,
    QuestionAnswered,
    QuestionExpired,
    QuestionNotFound,
    RunNotFound,
)
from server.pages import place_of, show_each
from server.questions.schemas import (
    AnswerRequest,
    AnswerResult,
    QuestionList,
    QuestionView,
    Status,
)
from server.questions.service import QuestionService
from server.routing import PolicedRoute
from tools.calls import ElicitationAnswer

router = APIRouter(prefix="/v1", tags=["runs"], route_class=PolicedRoute)
Questions = Annotated[QuestionService, Depends(provided(QuestionService))]


@router.get("/questions", summary="What tool servers asked one while a call ran")
async def list_questions(
    caller: Caller,
    questions: Questions,
    run_id: UUID | None = None,
    status: Status | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> QuestionList:
    """Lists questions, the newest first."""
    page = await questions.list_questions(
        caller, run_id=run_id, status=status, limit=limit, offset=offset
    )
    return QuestionList(
        questions=show_each(QuestionView, page.items),
        **place_of(page),
    )


@router.post(
    "/runs/{run_id}/answers",
    summary="Answer open questions of a run",
    status_code=202,
    responses=responses(
        InvalidContent, RunNotFound, QuestionNotFound, QuestionAnswered, QuestionExpired
    ),
)
async def answer_questions(
    run_id: UUID,
    body: AnswerRequest,
    caller: Caller,
    origin: RequestOrigin,
    questions: Questions,
) -> AnswerResult:
    """All answers are taken, or none. The run is going on meanwhile, and so do its events."""
    answers = {
        question_id: ElicitationAnswer(action=each.action, content=each.content)
        for question_id, each in body.answers.items()
    }
    left = await questions.answer(caller, origin, run_id, answers)
    return AnswerResult(
        run_id=run_id,
        open=show_each(QuestionView, left),
    )
