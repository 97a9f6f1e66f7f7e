"""What can go wrong in tools/.

ToolsError
├── McpConfigError       the servers file cannot be used
├── DefinitionsUnjudged  whether tools may be used cannot be found out now
├── InvalidCaller        a caller token that proves nothing
├── ServerUnavailable    no session with a server
│   ├── ServerAway       none could be opened
│   ├── LeftAlone        no call is made for a while
│   ├── ServerLost       the session ended while a call was under way
│   └── RequestRefused   a server did not take a request, perhaps because of the session
├── CallTimeout          a server did not answer in time
├── CallRejected         a call that cannot be made, or answered with a protocol error
│   ├── AnswerTooLarge   the answer is larger than a message may be
│   └── AnswerTooIntricate  it is made of more parts than are read
├── AuthorizationNeeded  a person has to let the product in at a server first
├── AuthorizationFailed  an authorization server does not do what it should
│   ├── AuthorizationRefused      it says no
│   └── AuthorizationUnreachable  nothing that may be asked answers there
├── IdentityUnproven     who is asking cannot be proven now
├── PromptUnknown        no such prompt of a server
├── PromptUnusable       what a server gives for a prompt cannot be shown
├── SchemaUnusable       a schema of a server that no value can be held against
├── RequestDeclined      what a server asked for is not given to it
├── ToolRefused          a built-in tool says no, in words for the model
├── CannotServe          what a server needs to be served alone is missing
├── SearchFailed         the web search does not answer, or not properly
├── PageUnreadable       a web page that cannot be read within the limits
└── FetchError           nothing comes from a URL; each with a code for clients
    ├── FetchDisabled    URL_FETCH_DISABLED
    ├── UrlNotAllowed    URL_NOT_ALLOWED
    ├── UrlUnreachable   URL_UNREACHABLE
    ├── UrlFailed        URL_FAILED
    ├── UrlTooSlow       URL_TIMEOUT
    ├── UrlTooLarge      URL_TOO_LARGE
    └── UrlTypeRefused   URL_TYPE_REFUSED
"""

from typing import ClassVar


class ToolsError(Exception):
    """Base of the errors of this folder."""


class McpConfigError(ToolsError):
    """The servers file is not readable, or an entry is no server; the message names the place."""


class DefinitionsUnjudged(ToolsError):
    """Whether tools may be used, as their server describes them, cannot be found out now."""


class InvalidCaller(ToolsError):
    """A caller token is missing, forged, expired or made for somebody else."""


class ServerUnavailable(ToolsError):
    """A tool server cannot be reached now; a later call tries again."""


class ServerLost(ServerUnavailable):
    """The session with a server ended during a call, which may or may not have taken effect."""


class ServerAway(ServerUnavailable):
    """There is no session with a server, whoever asks for one."""


class LeftAlone(ServerUnavailable):
    """A call is not made, because others have failed too often."""


class RequestRefused(ServerUnavailable):
    """A server did not take a request: because of what it asks, or because of its session."""


class CallTimeout(ToolsError):
    """A tool server did not answer a call within its time limit."""


class CallRejected(ToolsError):
    """A call cannot be made, or was answered with a protocol error instead of a result."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        """Args: code: of the protocol's error, if it is one."""
        super().__init__(message)
        self.code = code


class AnswerTooLarge(CallRejected):
    """A server's answer was not read, because it is larger than it may be."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"its answer is larger than {max_bytes} bytes")


class AnswerTooIntricate(CallRejected):
    """A server's answer was not read, because it is made of too many parts."""

    def __init__(self, parts: int, what: str = "parts") -> None:
        super().__init__(f"its answer has more than {parts} {what}")


class AuthorizationNeeded(ToolsError):
    """A person has not let the product act at a server, or not far enough; the message says so."""


class AuthorizationFailed(ToolsError):
    """A server's authorization cannot be had; the message is for whoever asked, without secrets."""


class AuthorizationRefused(AuthorizationFailed):
    """An authorization server answers with an error of the protocol."""

    def __init__(self, message: str, *, code: str = "") -> None:
        """Args: code: the error's name, as RFC 6749 has them."""
        super().__init__(message)
        self.code = code


class AuthorizationUnreachable(AuthorizationFailed):
    """Nothing answers where an authorization server should be, or nothing that may be asked.

    Which of them it is would tell a server's owner what stands inside the network.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"no authorization server that may be asked answers at {host}")


class IdentityUnproven(ToolsError):
    """A call must say who is asking, and that cannot be found out now."""


class PromptUnknown(ToolsError):
    """A server has no prompt of this name."""


class PromptUnusable(ToolsError):
    """What a server gives for a prompt is too much, or not what it says it is."""


class SchemaUnusable(ToolsError):
    """What a server calls a schema cannot be read, or takes too long to be held against a value."""


class RequestDeclined(ToolsError):
    """What a server asked for during a call is not given; the message is told to the server."""


class ToolRefused(ToolsError):
    """A built-in tool cannot do what was asked; the message tells the model why and what to try."""


class CannotServe(ToolsError):
    """A built-in server cannot be served alone; the message is for whoever tries."""


class SearchFailed(ToolsError):
    """The service that searches the web gives nothing; the message is for whoever runs it."""


class PageUnreadable(ToolsError):
    """A web page takes longer or more memory than a page may, or breaks what reads it."""


class FetchError(ToolsError):
    """Nothing was fetched; the message is for whoever gave the URL, and shows nothing of it."""

    code: ClassVar[str] = "URL_FAILED"
    """What clients tell the errors apart by; never changes."""


class FetchDisabled(FetchError):
    """The installation sends nothing to the outside."""

    code = "URL_FETCH_DISABLED"

    def __init__(self) -> None:
        super().__init__("This installation fetches nothing from URLs.")


class UrlNotAllowed(FetchError):
    """By its text alone, the URL is none that is fetched from."""

    code = "URL_NOT_ALLOWED"


class UrlUnreachable(FetchError):
    """There is nothing at the address, or nothing that may be spoken to.

    Which of them it is would tell a stranger what stands inside the network.
    """

    code = "URL_UNREACHABLE"

    def __init__(self) -> None:
        super().__init__("No web server that may be asked answers at this address.")


class UrlFailed(FetchError):
    """A web server answered, but not with what was asked for."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Args: status: of the answer, if it is that which says so."""
        super().__init__(message)
        self.status = status


class UrlTooSlow(FetchError):
    """The answer did not come in time."""

    code = "URL_TIMEOUT"

    def __init__(self) -> None:
        super().__init__("The answer from this address took too long.")


class UrlTooLarge(FetchError):
    """The answer is larger than asked for, packed or unpacked."""

    code = "URL_TOO_LARGE"


class UrlTypeRefused(FetchError):
    """The answer is of a type that was not asked for."""

    code = "URL_TYPE_REFUSED"
