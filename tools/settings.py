"""Settings of the tools folder."""

import json
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AnyHttpUrl, BaseModel, BeforeValidator, Field, FilePath
from pydantic_settings import NoDecode

from tools.contents import ContentLimits


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError as exc:
            raise ValueError("begins with '[' and is no list in JSON") from exc
    return tuple(part.strip() for part in value.split(",") if part.strip())


LISTED = (NoDecode, BeforeValidator(_split))
"""How a setting that is a list is written: separated by commas, or as JSON."""
_Networks: TypeAlias = Annotated[tuple[IPv4Network | IPv6Network, ...], *LISTED]
_Names: TypeAlias = Annotated[tuple[str, ...], *LISTED]
_Ports: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], *LISTED]


class McpSettings(BaseModel):
    """Which MCP servers there are beside the built-in ones, and what they are allowed."""

    servers_file: Path = Path("mcp.json")
    """A file in the ecosystem's `mcpServers` form; when it is missing there are no others."""
    call_timeout_seconds: float = Field(default=60, gt=0, le=3600)
    """How long one tool call may take, reconnecting included."""
    connect_timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long a server may take to start and to say which tools it has."""
    start_wait_seconds: float = Field(default=3, ge=0, le=60)
    """How long the product's start waits for servers from the file; slower ones join when ready."""
    unmarked_tools: Literal["allow", "ask", "deny"] = "ask"
    """What becomes of calls that no rule is about, of tools that are not known to only read."""
    open_world_tools: Literal["allow", "ask", "deny"] = "allow"
    """What becomes of calls that no rule is about, of tools that are not known to stay inside. Of
    this setting and the one above the stricter counts."""
    max_calls_per_run: int = Field(default=64, ge=1, le=10_000)
    """How many calls of tools one run makes; `/v1/tool-limits` has fewer for some tools."""
    result_max_chars: int = Field(default=20_000, ge=200)
    """A longer result is cut, with a note that says so."""
    images_per_result: int = Field(default=4, ge=0, le=32)
    """How many images of a result are kept for the user and shown to models that take images."""
    content_max_bytes: int = Field(default=5 * 1024 * 1024, ge=1024)
    """How large an image, sound or file of a result may be; larger ones are only named."""
    contents_per_run: int = Field(default=32, ge=0, le=1000)
    """How many images, sounds and files of results are kept for the user of a run."""
    contents_max_bytes_per_run: int = Field(default=64 * 1024 * 1024, ge=1024)
    """How large they may be together."""
    links_per_result: int = Field(default=3, ge=0, le=32)
    """How many texts that a result links to are read, over the same session."""
    refresh_seconds: float = Field(default=300, ge=1, le=86_400)
    """How often servers are asked for their tools, beside when they tell of a change."""
    definition_max_bytes: int = Field(default=16_384, ge=512)
    """A tool whose name, description and schema are larger is refused."""
    hold_new_tools: bool = False
    """Whether tools that a known server comes with later wait for approval, as changed ones do."""
    allow_stdio_by_api: bool = False
    """Whether root may add servers through the API that are commands to run on this machine."""
    authorization_hosts: _Names = ()
    """Hosts of authorization servers that may be asked wherever they stand, beside a tool server's
    own address: `auth.example.org`, or `*.example.org` for all below it. What else tool servers
    name is asked as `OUTBOUND__*` allows. Parts of one authorization server at several hosts are
    believed to belong together if all are named."""
    user_sessions_max: int = Field(default=100, ge=1, le=10_000)
    """How many sessions people have of their own with one server at once, on each replica. Of a
    server that is a command each is a process."""
    user_session_idle_seconds: float = Field(default=600, ge=1, le=86_400)
    """How long such a session is held without a call."""
    question_seconds: float = Field(default=300, gt=0, le=840)
    """How long a server's question waits for its person; then it is told that nobody answers."""
    sampling_max_calls: int = Field(default=8, ge=0, le=1000)
    """How often the model of a run answers servers that may ask it."""
    sampling_max_tokens: int = Field(default=8192, ge=0)
    """How much it writes for them, in all."""
    endpoint: bool = True
    """Whether the product is an MCP server itself, at `/mcp`."""

    @property
    def content_limits(self) -> ContentLimits:
        """How much of one answer is looked at beside its text."""
        return ContentLimits(
            images=self.images_per_result,
            content_bytes=self.content_max_bytes,
            contents=self.contents_per_run,
            links=self.links_per_result,
        )


class WebSettings(BaseModel):
    """The built-in server `web` (`WEB__*`), which needs `OUTBOUND__ENABLED` as well."""

    enabled: bool | None = None
    """Whether the agent has it; unless this is set, everywhere but in production."""
    search_engine: Literal["searxng", "ddgs"] = "searxng"
    """Who is asked what the web has: a SearXNG of yours, or by the package `ddgs`, which has to be
    installed beside, the engines that everybody may ask. These see what users look for, and are
    asked without the rules of `OUTBOUND__*`."""
    searxng_url: AnyHttpUrl | None = Field(default=None, repr=False)
    """Its `settings.yml` must have `json` among `search.formats`. Without one pages are fetched
    and nothing is searched."""
    search_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    robots: bool = True
    """Whether pages are left alone that their site's `robots.txt` asks programs not to fetch."""
    page_max_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    page_max_chars: Annotated[int, Field(ge=200)] = 12_000
    """How much of a page is shown at a time."""
    page_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    """How long a page may take to be read, once it is here."""
    page_memory_mib: Annotated[int, Field(ge=128)] = 768


class OutboundSettings(BaseModel):
    """What may be fetched from addresses that users, documents and models name (`OUTBOUND__*`)."""

    enabled: bool = False
    """Whether anything is; the agent's own services have settings of their own."""
    ports: _Ports = (80, 443)
    allow_hosts: _Names = ()
    """Only these, if any are named: `example.org`, or `*.example.org` for all below it."""
    deny_hosts: _Names = ()
    """Never these, in the same form."""
    allow_private: _Networks = ()
    """Ranges of addresses that are not public and may be fetched from all the same."""
    deny_addresses: _Networks = ()
    """Ranges that may not, such as public ones that lead back into the building."""
    proxy: AnyHttpUrl | None = Field(default=None, repr=False)
    """A proxy that everything is fetched through. It looks names up, and has to refuse those that
    lead inside; what this server's own lookup says about a name counts as well."""
    ca_file: FilePath | None = None
    """Certificates to trust in the place of the system's."""
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    read_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 15
    """How long an answer may pause."""
    total_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    """How long one fetch may take, redirects included."""
