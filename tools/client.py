"""A tool of an MCP server as a LangChain tool."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from mcp import types
from pydantic import Field, PrivateAttr

from tools.calls import CALL_KEY, CallContext
from tools.contents import ContentLimits
from tools.errors import CallRejected, ToolsError
from tools.names import qualify
from tools.results import ResultReader, ToolAnswer
from tools.schemas import simplify_schema
from tools.session_pool import ToolServer

DESCRIPTION_MAX_CHARS = 1_024

_LIMITS, _NOBODY = ContentLimits(), CallContext()

_log = structlog.get_logger(__name__)


class McpTool(BaseTool):
    """Calls one tool over the session that is held with its server.

    Whatever goes wrong at the server comes back as an error for the model, never as an exception
    that ends a run. The artifact is None, or has `sources` or `contents` or both: the passages that
    were found, and what refers to the pictures, sounds and files that the call's context has kept.
    """

    qualified_name: str
    """`server.tool`, for people and policies."""
    read_only: bool = False
    """Whether the tool changes nothing, as far as its server is believed."""
    repeatable: bool = False
    """Whether calling twice does no more than calling once, as far as its server is believed."""
    open_world: bool = True
    """Whether the tool may reach what lies outside of its server; no, if that is believed."""
    result_max_chars: int = Field(exclude=True)

    _connection: ToolServer = PrivateAttr()
    _definition: types.Tool = PrivateAttr()
    _withheld: Callable[[], str | None] = PrivateAttr()
    _cites_sources: bool = PrivateAttr()
    _reader: ResultReader = PrivateAttr()

    def __init__(
        self,
        definition: types.Tool,
        connection: ToolServer,
        *,
        name: str,
        result_max_chars: int,
        cites_sources: bool = False,
        believes_hints: bool = True,
        words_suffice: bool = False,
        content_limits: ContentLimits = _LIMITS,
        withheld: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Prepare a tool.

        Args:
            definition: What its server says of it.
            connection: Where it is called.
            name: As models know it.
            result_max_chars: What is longer is cut.
            cites_sources: Whether its structured answers name passages that can be cited.
            believes_hints: Whether what its server says of its effects counts.
            words_suffice: Whether models need nothing of its answers beside their texts.
            content_limits: How much of an answer is looked at beside its text.
            withheld: Says why it may not be called at this moment, if so.
        """
        hints = definition.annotations if believes_hints else None
        super().__init__(
            name=name,
            qualified_name=qualify(connection.name, definition.name),
            description=_describe(definition),
            args_schema=simplify_schema(definition.inputSchema),
            read_only=bool(hints and hints.readOnlyHint),
            repeatable=bool(hints and (hints.readOnlyHint or hints.idempotentHint)),
            open_world=hints is None or hints.openWorldHint is not False,
            result_max_chars=result_max_chars,
            response_format="content_and_artifact",
            handle_tool_error=True,
        )
        self._connection = connection
        self._definition = definition
        self._withheld = withheld
        self._cites_sources = cites_sources
        self._reader = ResultReader(
            definition,
            connection,
            name=name,
            limits=content_limits,
            words_suffice=words_suffice or cites_sources,
        )

    @property
    def definition(self) -> types.Tool:
        """What its server says of it."""
        return self._definition

    @property
    def server(self) -> str:
        """The name of the server that brings it."""
        return self._connection.name

    def _run(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("MCP tools are asynchronous: use ainvoke.")

    async def arun(self, tool_input: str | dict[str, Any], *_: Any, **options: Any) -> Any:
        """Do what `BaseTool.arun` does for a coroutine whose signature is known.

        That one inspects the signature, copies contexts and starts a task at every call, which
        costs about a third of an in-memory call.
        """
        manager = AsyncCallbackManager.configure(
            options.get("callbacks"),
            self.callbacks,
            self.verbose,
            options.get("tags"),
            self.tags,
            options.get("metadata"),
            self.metadata,
        )
        call_id: str | None = options.get("tool_call_id")
        run = await manager.on_tool_start(
            {"name": self.name, "description": self.description},
            str(tool_input) if manager.handlers else "",
            name=options.get("run_name"),
            run_id=options.get("run_id"),
            inputs=tool_input if isinstance(tool_input, dict) else None,
            tool_call_id=call_id,
        )
        outcome = await self._call(tool_input, options.get("config") or RunnableConfig())
        output = outcome.text if call_id is None else outcome.as_message(self.name, call_id)
        await run.on_tool_end(output, name=self.name)
        return output

    async def _call(self, tool_input: object, config: RunnableConfig) -> "_Outcome":
        context = config.get("configurable", {}).get(CALL_KEY)
        if not isinstance(context, CallContext):
            context = _NOBODY
        if (reason := self._withheld()) is not None:
            return _Outcome(text=f"The tool {self.name} cannot be used: {reason}.", failed=True)
        try:
            arguments = _check_arguments(tool_input)
            result = await self._connection.call(self._definition.name, arguments, context)
            answer = await self._reader.read(
                result, context, max_chars=self._max_chars_for(context)
            )
        except ToolsError as error:
            _log.warning("tool_call_failed", tool=self.qualified_name, error=type(error).__name__)
            return _Outcome(text=f"The tool {self.name} failed: {error}.", failed=True)
        sources = _sources_in(result) if self._cites_sources and not answer.is_error else ()
        return _Outcome(
            text=answer.text, artifact=_artifact(answer, sources), failed=answer.is_error
        )

    def _max_chars_for(self, context: CallContext) -> int:
        allowed = context.limits.result_chars
        return self.result_max_chars if allowed is None else min(allowed, self.result_max_chars)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    text: str
    artifact: dict[str, Any] | None = None
    failed: bool = False

    def as_message(self, tool: str, call_id: str) -> ToolMessage:
        return ToolMessage(
            self.text,
            artifact=self.artifact,
            name=tool,
            tool_call_id=call_id,
            status="error" if self.failed else "success",
        )


def _describe(definition: types.Tool) -> str:
    text = definition.description or definition.title or definition.name
    return text if len(text) <= DESCRIPTION_MAX_CHARS else text[: DESCRIPTION_MAX_CHARS - 1] + "…"


def _check_arguments(arguments: object) -> dict[str, Any]:
    """Refuse what JSON cannot carry: a transport would fail over it, and end the session."""
    if not isinstance(arguments, dict):
        raise CallRejected("its arguments must be a JSON object")
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CallRejected("its arguments are not valid JSON") from error
    return arguments


def _sources_in(result: types.CallToolResult) -> list[Any]:
    sources = (result.structuredContent or {}).get("sources")
    return sources if isinstance(sources, list) else []


def _artifact(answer: ToolAnswer, sources: Sequence[Any]) -> dict[str, Any] | None:
    brought = {"sources": list(sources), "contents": list(answer.contents)}
    return {name: values for name, values in brought.items() if values} or None
