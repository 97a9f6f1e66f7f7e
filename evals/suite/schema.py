"""The form of a suite's file and of its samples."""

import re
from typing import Annotated, Any, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
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
from evals.numbers.selectors import PASSED, Selector
from evals.scorers.catalogue import JUDGES, MEASURES, JudgeKind
from evals.suite.remedies import one_of


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}; quote it with single quotes") from exc
    return value


def _json_schema(value: dict[str, Any]) -> dict[str, Any]:
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as exc:
        raise ValueError(f"is no JSON schema: {exc.message}") from exc
    return value


Texts = Annotated[list[str], BeforeValidator(_as_list)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class ExpectedCall(_Strict):
    """A tool call that is right."""

    tool: str
    """`server.tool`."""
    arguments: dict[str, Any] | None = None
    """None: any. A value, or `{$any_of: […]}`, `{$includes: text}`, `{$regex: pattern}`."""


class Expectations(_Strict):
    """What single scorers look for in an answer."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    calls: list[ExpectedCall] | None = None
    """An empty list: no tool is needed."""
    relevant: dict[str, float] | list[str] | None = None
    number: float | None = None
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    json_form: Annotated[dict[str, Any], AfterValidator(_json_schema)] | None = Field(
        default=None, alias="schema"
    )
    refusal: bool | None = None


class SampleSpec(_Strict):
    """One sample."""

    id: str
    input: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    """A message, or several that are sent one after the other in one session."""
    target: Texts = []
    """Texts, each of which is right."""
    expect: Expectations = Expectations()
    tags: Texts = []
    user: str | None = None
    """Who asks, of the fixtures' users; root when left out."""
    tools: bool = True


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


class Fixtures(_Strict):
    """What has to be there before the first question."""

    users: list[str] = []
    groups: dict[str, list[str]] = {}
    """Members by group; the first one is its admin."""
    documents: list[DocumentFixture] = []
    mcp_servers: list[ServerFixture] = []

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        used = {member for members in self.groups.values() for member in members}
        used |= {each.owner for each in self.documents if each.owner}
        if unknown := sorted(used - set(self.users)):
            raise ValueError(f"unknown users {unknown}: list them in 'users'")
        named = {each.group for each in self.documents if each.group}
        named |= {name for each in self.mcp_servers for name in each.groups or ()}
        if unknown := sorted(named - self.groups.keys()):
            raise ValueError(f"unknown groups {unknown}: list them in 'groups'")
        return self


class Limits(_Strict):
    """When a sample is given up; then its answer is wrong."""

    seconds: PositiveInt | None = 300


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

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
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
        known = [*names, PASSED]
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

    @property
    def measures(self) -> set[str]:
        """Those of its scorers that say how much and not how right."""
        return {each.name for each in self.scorers} & MEASURES
