"""The routes of prompts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from server.dependencies import Caller, Limit, Offset, RequestOrigin, provided
from server.error_responses import responses
from server.errors import AuthorizationMissing, PromptFailed, PromptNotFound, ServerAway
from server.prompts.schemas import FilledPromptAnswer, PromptAnswer, PromptFill, PromptList
from server.prompts.service import PromptService
from server.routing import PolicedRoute
from tools.names import qualify
from tools.prompt_values import Prompt

NAME_MAX_CHARS = 128

router = APIRouter(prefix="/v1/prompts", tags=["tools"], route_class=PolicedRoute)
Prompts = Annotated[PromptService, Depends(provided(PromptService))]
ServerName = Annotated[str, Path(max_length=NAME_MAX_CHARS)]
PromptName = Annotated[
    str, Path(min_length=1, max_length=NAME_MAX_CHARS, description="Percent-encoded.")
]


@router.get("", summary="The prompts of MCP servers that the caller may use")
async def list_prompts(
    caller: Caller,
    prompts: Prompts,
    server: Annotated[str | None, Query(max_length=NAME_MAX_CHARS)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> PromptList:
    """Texts that servers keep for people to send. All servers are asked at once; of those that are
    slow the list comes the next time.
    """
    found = await prompts.list_prompts(caller, server=server, limit=limit, offset=offset)
    return PromptList(
        prompts=[_answer(each) for each in found.page.items],
        total=found.page.total,
        limit=limit,
        offset=offset,
        unavailable=list(found.unavailable),
    )


@router.post(
    "/{server}/{name:path}",
    summary="A prompt with its blanks filled in",
    responses=responses(PromptNotFound, AuthorizationMissing, PromptFailed, ServerAway),
)
async def get_prompt(
    server: ServerName,
    name: PromptName,
    body: PromptFill,
    caller: Caller,
    origin: RequestOrigin,
    prompts: Prompts,
) -> FilledPromptAnswer:
    """Its server writes it; nothing is sent to a model. It is a stranger's text: show it to the
    person, and send it as their message when they want that.
    """
    filled = await prompts.get(caller, origin, server=server, name=name, arguments=body.arguments)
    return FilledPromptAnswer.model_validate(filled, from_attributes=True)


def _answer(prompt: Prompt) -> PromptAnswer:
    return PromptAnswer.model_validate(
        {
            "id": qualify(prompt.server, prompt.name),
            "server": prompt.server,
            "name": prompt.name,
            "title": prompt.title,
            "description": prompt.description,
            "arguments": prompt.arguments,
        },
        from_attributes=True,
    )
