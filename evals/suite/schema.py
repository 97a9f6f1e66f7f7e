"""The form of a suite's file and of its samples."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    model_validator,
)

from evals.errors import UsageMistake
from evals.numbers.selectors import AGREEMENT, KAPPA, PASSED, Selector
from evals.scorers.catalogue import JUDGES, MEASURES, JudgeKind
from evals.scorers.disguise import SIGNS_MIN, signs
from evals.suite.functions import FunctionSpec, require_distinct, require_json_schema
from evals.suite.remedies import one_of
from evals.target.media import AUDIO_FORMATS, IMAGE_MIMES


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}; quote it with single quotes") from exc
    return value


def _secret(value: str) -> str:
    if len(signs(value)) < SIGNS_MIN:
        raise ValueError(f"needs {SIGNS_MIN} letters or digits, or it is found by chance")
    return value


def _named(path: str, kinds: Iterable[str]) -> str:
    if Path(path).suffix.lower() not in kinds:
        raise ValueError(f"is no file of {', '.join(kinds)}: convert it, and name that")
    return path


Texts = Annotated[list[str], BeforeValidator(_as_list)]
Recording = Annotated[str, AfterValidator(lambda path: _named(path, AUDIO_FORMATS))]
Image = Annotated[str, AfterValidator(lambda path: _named(path, IMAGE_MIMES))]
Secrets = Annotated[list[Annotated[str, AfterValidator(_secret)]], BeforeValidator(_as_list)]
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""Of a suite."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class ExpectedCall(_Strict):
    """A tool call that is right."""

    tool: str
    """`server.tool`; of a sample's own functions the name alone."""
    arguments: dict[str, Any] | None = None
    """None: any. A value, or `{$any_of: […]}`, `{$includes: text}`, `{$regex: pattern}`; within
    `{$optional: …}` it may be left out."""


class InjectedOrder(_Strict):
    """What shows that an order was obeyed which the user has not given: any of these."""

    calls: list[ExpectedCall] = []
    says: Texts = []
    reached_by: Texts | None = None
    """Tools whose results hold the order, as patterns over `server.tool`. Where none of them was
    called and nothing was obeyed, nothing can be said."""


class Expectations(_Strict):
    """What single scorers look for in an answer."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    calls: list[ExpectedCall] | None = None
    """An empty list: no tool is needed."""
    relevant: dict[str, float] | list[str] | None = None
    number: float | None = None
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    json_form: Annotated[dict[str, Any], AfterValidator(require_json_schema)] | None = Field(
        default=None, alias="schema"
    )
    refusal: bool | None = None
    forbidden: Secrets | None = None
    """What of other people's data must not show, in whatever disguise; `leak` looks for it."""
    forbidden_sources: Texts | None = None
    """Names of documents that the asking user must not hear of."""
    injected: InjectedOrder | None = None
    secret: Secrets | None = None
    """What must not leave by a tool or a link; `exfiltration` looks for it."""
    outward: Texts | None = None
    """The tools that lead out, as patterns over `server.tool`."""
    transcript: str | None = None
    """What is said in the recording; `word_error_rate` counts what was understood otherwise."""
    error: str | None = None
    """The code of the error with which the product has to refuse; `error_code` looks for it."""


class SampleSpec(_Strict):
    """One sample."""

    id: str
    input: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    """A message, or several that are sent one after the other in one session; may be left out of
    a sample that has a recording or images."""
    audio: Recording | None = None
    """A recording that goes with the first message; relative to the suite's file."""
    images: Annotated[list[Image], BeforeValidator(_as_list)] = []
    """Images that go with the first message; relative to the suite's file."""
    at_once: bool = False
    """Whether they are sent at the same time instead: the product has to put them in a row."""
    repeat: PositiveInt = 1
    """How often each message holds its text, for messages that are long."""
    target: Texts = []
    """Texts, each of which is right."""
    expect: Expectations = Expectations()
    tags: Texts = []
    user: str | None = None
    """Who asks, of the fixtures' users; root when left out."""
    tools: bool = True
    functions: list[FunctionSpec] = []
    """Its own tools: who asks is then a user who has them and no others. A file of them may be
    named instead, relative to the one that names it."""

    @model_validator(mode="after")
    def _functions_are_its_own(self) -> Self:
        if self.functions and self.user is not None:
            raise ValueError("has functions, which a user of its own has: remove user")
        require_distinct(self.functions)
        return self

    @property
    def media_names(self) -> list[str]:
        """Its files, the recording first."""
        return [*([self.audio] if self.audio else ()), *self.images]

    @model_validator(mode="before")
    @classmethod
    def _media_need_no_text(cls, value: Any) -> Any:
        is_bare = isinstance(value, dict) and "input" not in value
        return value | {"input": [""]} if is_bare and {"audio", "images"} & value.keys() else value


class ScorerSpec(_Strict):
    """A scorer and its options: a name, or `{name: {option: value}}`."""

    name: str
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and len(value) == 1 and "name" not in value:
            [(name, options)] = value.items()
            return {"name": name, "options": options or {}}
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in JUDGES:
            raise ValueError(f"there is no scorer {self.name!r}; {one_of(self.name, JUDGES)}")
        self.kind.options.model_validate(self.options)
        return self

    @property
    def kind(self) -> JudgeKind:
        """Its judge."""
        return JUDGES[self.name]


class DocumentFixture(_Strict):
    """A document that is there before the first question."""

    path: str
    """Relative to the suite's file."""
    owner: str | None = None
    """A user of the fixtures; root when left out."""
    group: str | None = None
    """A group of the fixtures to share it with."""
    tags: Texts = []


class ServerFixture(_Strict):
    """An MCP server that is there before the first question."""

    name: str
    config: dict[str, Any]
    """As in `mcpServers`."""
    groups: list[str] | None = None


class PolicyFixture(_Strict):
    """A rule about calls of tools, as `POST /v1/tool-policies` has it."""

    tool: str
    """`server.tool`; `*` stands for any characters."""
    verdict: Literal["allow", "ask", "deny"]
    arguments: dict[str, str | int | float | bool | None] = {}
    group: str | None = None
    """A group of the fixtures; without one, the tool is one of the fixtures' MCP servers."""


class ToolLimitFixture(_Strict):
    """A rule on what calls of a tool may take, as `POST /v1/tool-limits` has it."""

    tool: str
    """`server.tool` of one of the fixtures' MCP servers; `*` stands for any characters."""
    max_seconds: float | None = None
    max_result_chars: int | None = None
    max_calls_per_run: int | None = None


class Fixtures(_Strict):
    """What has to be there before the first question."""

    users: list[str] = []
    groups: dict[str, list[str]] = {}
    """Members by group; the first one is its admin."""
    documents: list[DocumentFixture] = []
    mcp_servers: list[ServerFixture] = []
    tool_limits: list[ToolLimitFixture] = []
    policies: list[PolicyFixture] = []

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        used = {member for members in self.groups.values() for member in members}
        used |= {each.owner for each in self.documents if each.owner}
        if unknown := sorted(used - set(self.users)):
            raise ValueError(f"unknown users {unknown}: list them in 'users'")
        named = {each.group for each in self.documents if each.group}
        named |= {name for each in self.mcp_servers for name in each.groups or ()}
        named |= {each.group for each in self.policies if each.group}
        if unknown := sorted(named - self.groups.keys()):
            raise ValueError(f"unknown groups {unknown}: list them in 'groups'")
        return self

    @model_validator(mode="after")
    def _rules_bind_the_suite_alone(self) -> Self:
        """At an installation that others use, a rule for everybody would be a rule for them."""
        own = {each.name for each in self.mcp_servers}
        for_all: list[ToolLimitFixture | PolicyFixture] = [*self.tool_limits]
        for_all += [each for each in self.policies if each.group is None]
        if others := sorted({r.tool for r in for_all if r.tool.partition(".")[0] not in own}):
            raise ValueError(
                f"rules for everybody on {others}: give a group, or name tools of 'mcp_servers'"
            )
        return self


class Limits(_Strict):
    """When a sample is given up; then its answer is wrong."""

    seconds: PositiveInt | None = 300
    tokens: PositiveInt | None = None
    """Read and written, as the product counts them; judged after each message, as those below."""
    steps: PositiveInt | None = None
    """How often the product's model is asked."""
    tool_calls: Annotated[int, Field(ge=0)] | None = None


class Threshold(_Strict):
    """What a metric has to reach; a number alone is `at_least`."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"at_least": value} if is_number else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give a number, at_least or at_most")
        return self


class SuiteSpec(_Strict):
    """A suite's file."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    description: str
    samples: str | list[Any]
    """A file beside it (.jsonl, .csv, .yaml), or the samples themselves."""
    scorers: Annotated[list[ScorerSpec], Field(min_length=1)]
    fixtures: Fixtures = Fixtures()
    epochs: PositiveInt = 1
    limits: Limits = Limits()
    thresholds: dict[str, Threshold] = {}
    tags: Texts = []

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Self:
        names = [each.name for each in self.scorers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"scorers {twice} are named twice: keep one of each")
        known = self.metrics
        for metric in self.thresholds:
            try:
                named = Selector.parse(metric)
            except UsageMistake as exc:
                raise ValueError(f"thresholds: {exc}") from exc
            if named.metric not in known:
                raise ValueError(
                    f"thresholds: there is no metric {metric!r}; {one_of(metric, known)}"
                )
        return self

    def _figures_of_graders(self) -> list[str]:
        """How far a grader agrees with people can be known where there are labels."""
        labelled = [each.name for each in self.scorers if each.options.get("labelled")]
        return [f"{name}.{figure}" for name in labelled for figure in (AGREEMENT, KAPPA)]

    @property
    def metrics(self) -> list[str]:
        """What thresholds may name."""
        return [*(each.name for each in self.scorers), PASSED, *self._figures_of_graders()]

    @property
    def needs_grader(self) -> bool:
        """Whether one of its scorers asks a model."""
        return any(each.kind.needs_grader(each.options) for each in self.scorers)

    @property
    def measures(self) -> set[str]:
        """Those of its scorers that say how much and not how right."""
        return {each.name for each in self.scorers} & MEASURES
