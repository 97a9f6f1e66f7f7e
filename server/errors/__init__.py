"""What can go wrong at the API, and the only place that knows HTTP status codes.

ServerError
├── BadRequest            400  VALIDATION_ERROR and kin
│   ├── UnknownModel      400
│   ├── InvalidArguments  400
│   ├── InvalidContent    400
│   ├── NotConfirmed      400
│   ├── UnsupportedMedia  400
│   ├── AuthorizationInvalid    400
│   ├── AuthorizationNotGranted 400
│   ├── BadServerConfig   400
│   ├── StdioRefused      400
│   ├── AudioEmpty        400
│   ├── AudioTooLong      400
│   ├── ImageTooLarge     400
│   ├── ImagesUnsupported 400
│   ├── PathNotAllowed    400
│   ├── PathUnreadable    400
│   ├── TooManyFiles      400
│   └── UnsupportedMessage 400
├── NotAuthenticated      401
│   ├── InvalidApiKey     401
│   ├── ApiKeyEnded       401
│   ├── LoginFailed       401
│   └── TokenExpired      401
├── NotAuthorized         403
│   ├── AccountClosed     403
│   ├── CsrfRefused       403
│   ├── IpNotAllowed      403
│   ├── NotGroupAdmin     403
│   └── UsernameUnusable  403
├── ResourceNotFound      404  and one for each kind of thing
├── Conflict              409
│   ├── AuthorizationNotUsed 409
│   ├── PublicUrlMissing  409
│   ├── RunConflict       409
│   ├── RunElsewhere      409
│   ├── QueueIsFull       409
│   ├── SessionExists     409
│   ├── ApprovalDecided   409
│   ├── ApprovalExpired   409
│   ├── QuestionAnswered  409
│   ├── QuestionExpired   409
│   ├── ToolPolicyLimit   409
│   ├── ToolLimitsFull    409
│   ├── ServerNameExists  409
│   ├── AuthorizationMissing 409
│   ├── ServerInFile      409
│   ├── McpServerLimit    409
│   ├── DefinitionChanged 409
│   ├── RootAccount       409
│   ├── GroupNeedsAdmin   409
│   ├── IngestConflict    409
│   ├── IngestCancelled   409
│   ├── ContentExists     409
│   ├── ApiKeyLimit       409
│   ├── AccountExists     409
│   ├── GroupNameExists   400
│   ├── MemberExists      400
│   └── UsernameExists    400
├── UploadTooSlow         408
├── EventsExpired         410
├── TooLarge              413
├── RangeNotSatisfiable   416
├── RateLimited           429
│   └── IngestQueueFull   429
├── InternalError         500
├── RunGivenUp            500
├── IngestCrashed         500
├── OriginalLost          500
├── DatabaseFailed        500
├── UpstreamFailed        502
│   ├── AuthorizationServerFailed 502
│   ├── ModelFailed       502
│   └── PromptFailed      502
├── RunTimedOut           504
│   └── StepTimedOut      504
└── Unavailable           503
    ├── RunGoesOn         503
    ├── ServerAway        503
    └── SpeechUnavailable 503
ConfigurationError        the settings do not make a server; ends the start with one sentence
"""

from collections.abc import Iterator

from server.errors.authorizations import (
    AuthorizationInvalid,
    AuthorizationNotGranted,
    AuthorizationNotUsed,
    AuthorizationServerFailed,
    McpAuthorizationNotFound,
    PublicUrlMissing,
)
from server.errors.entry import (
    AccountClosed,
    ApiKeyEnded,
    ApiKeyLimit,
    CsrfRefused,
    InvalidApiKey,
    IpNotAllowed,
    LoginFailed,
    NotGroupAdmin,
    OidcNotConfigured,
    TokenExpired,
    TooManySockets,
    UploadTooSlow,
    UsernameUnusable,
)
from server.errors.ingestion import (
    ContentExists,
    IngestCancelled,
    IngestCrashed,
    IngestQueueFull,
    IngestRunNotFound,
    OriginalLost,
)
from server.errors.kinds import (
    BadRequest,
    ConfigurationError,
    Conflict,
    DatabaseFailed,
    InternalError,
    NotAuthenticated,
    NotAuthorized,
    RateLimited,
    ResourceNotFound,
    ServerError,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)
from server.errors.mcp import (
    AuthorizationMissing,
    BadServerConfig,
    DefinitionChanged,
    McpServerLimit,
    McpServerNotFound,
    PromptFailed,
    PromptNotFound,
    ServerAway,
    ServerInFile,
    ServerNameExists,
    StdioRefused,
    ToolContentNotFound,
    ToolNotFound,
)
from server.errors.messages import (
    AudioEmpty,
    AudioTooLong,
    ImageNotFound,
    ImagesUnsupported,
    ImageTooLarge,
    MessageNotFound,
    SessionExists,
    SessionNotFound,
    SpeechUnavailable,
    UnknownModel,
    UnsupportedMedia,
    UnsupportedMessage,
)
from server.errors.possessions import (
    AccountExists,
    DocumentNotFound,
    GroupNameExists,
    GroupNeedsAdmin,
    GroupNotFound,
    IngestConflict,
    MemberExists,
    NotConfirmed,
    PathNotAllowed,
    PathNotFound,
    PathUnreadable,
    RangeNotSatisfiable,
    RootAccount,
    TooManyFiles,
    UsernameExists,
    UserNotFound,
)
from server.errors.runs import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    EventsExpired,
    InvalidArguments,
    InvalidContent,
    ModelFailed,
    QuestionAnswered,
    QuestionExpired,
    QuestionNotFound,
    QueueIsFull,
    RunConflict,
    RunElsewhere,
    RunGivenUp,
    RunGoesOn,
    RunNotFound,
    RunTimedOut,
    StepTimedOut,
    ToolLimitNotFound,
    ToolLimitsFull,
    ToolPolicyLimit,
    ToolPolicyNotFound,
    TooManyFollowed,
)

__all__ = [
    "AccountClosed",
    "AccountExists",
    "ApiKeyEnded",
    "ApiKeyLimit",
    "ApprovalDecided",
    "ApprovalExpired",
    "ApprovalNotFound",
    "AudioEmpty",
    "AudioTooLong",
    "AuthorizationInvalid",
    "AuthorizationMissing",
    "AuthorizationNotGranted",
    "AuthorizationNotUsed",
    "AuthorizationServerFailed",
    "BadRequest",
    "BadServerConfig",
    "ConfigurationError",
    "Conflict",
    "ContentExists",
    "CsrfRefused",
    "DatabaseFailed",
    "DefinitionChanged",
    "DocumentNotFound",
    "EventsExpired",
    "GroupNameExists",
    "GroupNeedsAdmin",
    "GroupNotFound",
    "ImageNotFound",
    "ImageTooLarge",
    "ImagesUnsupported",
    "IngestCancelled",
    "IngestConflict",
    "IngestCrashed",
    "IngestQueueFull",
    "IngestRunNotFound",
    "InternalError",
    "InvalidApiKey",
    "InvalidArguments",
    "InvalidContent",
    "IpNotAllowed",
    "LoginFailed",
    "McpAuthorizationNotFound",
    "McpServerLimit",
    "McpServerNotFound",
    "MemberExists",
    "MessageNotFound",
    "ModelFailed",
    "NotAuthenticated",
    "NotAuthorized",
    "NotConfirmed",
    "NotGroupAdmin",
    "OidcNotConfigured",
    "OriginalLost",
    "PathNotAllowed",
    "PathNotFound",
    "PathUnreadable",
    "PromptFailed",
    "PromptNotFound",
    "PublicUrlMissing",
    "QuestionAnswered",
    "QuestionExpired",
    "QuestionNotFound",
    "QueueIsFull",
    "RangeNotSatisfiable",
    "RateLimited",
    "ResourceNotFound",
    "RootAccount",
    "RunConflict",
    "RunElsewhere",
    "RunGivenUp",
    "RunGoesOn",
    "RunNotFound",
    "RunTimedOut",
    "ServerAway",
    "ServerError",
    "ServerInFile",
    "ServerNameExists",
    "SessionExists",
    "SessionNotFound",
    "SpeechUnavailable",
    "StdioRefused",
    "StepTimedOut",
    "TokenExpired",
    "TooLarge",
    "TooManyFiles",
    "TooManyFollowed",
    "TooManySockets",
    "ToolContentNotFound",
    "ToolLimitNotFound",
    "ToolLimitsFull",
    "ToolNotFound",
    "ToolPolicyLimit",
    "ToolPolicyNotFound",
    "Unavailable",
    "UnknownModel",
    "UnsupportedMedia",
    "UnsupportedMessage",
    "UploadTooSlow",
    "UpstreamFailed",
    "UserNotFound",
    "UsernameExists",
    "UsernameUnusable",
    "find_kind",
]


def find_kind(code: str | None) -> type[ServerError]:
    """The class of an error that is known by its code alone; InternalError if there is none."""
    return next((kind for kind in _below(ServerError) if kind.code == code), InternalError)


def _below(parent: type[ServerError]) -> Iterator[type[ServerError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from _below(kind)
