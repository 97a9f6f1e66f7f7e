"""What can go wrong in tools/.

ToolsError
├── McpConfigError       the servers file cannot be used
├── InvalidCaller        a caller token that proves nothing
├── ServerUnavailable    no session with a server
│   └── ServerLost       the session ended while a call was under way
├── CallTimeout          a server did not answer in time
├── CallRejected         a call that cannot be made, or answered with a protocol error
└── ToolRefused          a built-in tool says no, in words for the model
"""


class ToolsError(Exception):
    """Base of the errors of this folder."""


class McpConfigError(ToolsError):
    """The servers file is not readable, or an entry is no server; the message names the place."""


class InvalidCaller(ToolsError):
    """A caller token is missing, forged, expired or made for somebody else."""


class ServerUnavailable(ToolsError):
    """A tool server cannot be reached now; a later call tries again."""


class ServerLost(ServerUnavailable):
    """The session with a server ended during a call, which may or may not have taken effect."""


class CallTimeout(ToolsError):
    """A tool server did not answer a call within its time limit."""


class CallRejected(ToolsError):
    """A call cannot be made, or was answered with a protocol error instead of a result."""


class ToolRefused(ToolsError):
    """A built-in tool cannot do what was asked; the message tells the model why and what to try."""
