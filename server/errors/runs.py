"""What can become of runs, approvals and the rules about tools."""

from server.errors.kinds import (
    BadRequest,
    Conflict,
    ResourceNotFound,
    ServerError,
    Unavailable,
    UpstreamFailed,
)


class InvalidArguments(BadRequest):
    """The arguments that a person gave a tool do not fit its schema."""

    code = "INVALID_ARGUMENTS"
    message = "These arguments do not fit the tool."


class InvalidContent(BadRequest):
    """What a person filled in does not fit the form that a tool's server asked with."""

    code = "INVALID_CONTENT"
    message = "This does not fit the form."


class RunNotFound(ResourceNotFound):
    """No such run."""

    code = "RUN_NOT_FOUND"
    message = "There is no such run."


class ApprovalNotFound(ResourceNotFound):
    """No such approval in this run."""

    code = "APPROVAL_NOT_FOUND"
    message = "There is no such approval in this run."


class QuestionNotFound(ResourceNotFound):
    """No such question in this run."""

    code = "QUESTION_NOT_FOUND"
    message = "There is no such question in this run."


class ToolPolicyNotFound(ResourceNotFound):
    """No such rule about tool calls, or none that binds the caller."""

    code = "TOOL_POLICY_NOT_FOUND"
    message = "There is no such rule."


class ToolLimitNotFound(ResourceNotFound):
    """No such rule on what tool calls may take, or none that binds the caller."""

    code = "TOOL_LIMIT_NOT_FOUND"
    message = "There is no such limit."


class RunConflict(Conflict):
    """The session is answering another message."""

    code = "RUN_IN_PROGRESS"
    message = "This session is still answering; wait for it or cancel its run."


class RunElsewhere(Conflict):
    """A run could not be ended, for another server holds on to it."""

    code = "RUN_ELSEWHERE"
    message = "Another server executes this run; ask that one, or try again in half a minute."


class QueueIsFull(Conflict):
    """So many messages of the session wait for their turn already."""

    code = "QUEUE_FULL"
    message = "Too many messages of this session wait already; send this one later."


class TooManyFollowed(Conflict):
    """A WebSocket follows as many runs as it may already."""

    code = "TOO_MANY_FOLLOWED"
    message = "This WebSocket follows as many runs as it may; wait for one of them to end."


class ApprovalDecided(Conflict):
    """The approval waits for nobody any more: it was answered, or its run has ended."""

    code = "APPROVAL_DECIDED"
    message = "This was decided already."


class ApprovalExpired(Conflict):
    """Nobody answered in time, which counts as a refusal."""

    code = "APPROVAL_EXPIRED"
    message = "The time to answer this is over; it counts as refused."


class QuestionAnswered(Conflict):
    """The question waits for nobody any more: it was answered, or its call has ended."""

    code = "QUESTION_ANSWERED"
    message = "This was answered already, or nobody waits for the answer any more."


class QuestionExpired(Conflict):
    """Nobody answered in time; the server that asked was told so."""

    code = "QUESTION_EXPIRED"
    message = "The time to answer this is over."


class ToolPolicyLimit(Conflict):
    """There are as many rules about tool calls as there may be."""

    code = "TOOL_POLICY_LIMIT"
    message = "There are as many rules as there may be; delete one first."


class ToolLimitsFull(Conflict):
    """There are as many rules on what tool calls may take as there may be."""

    code = "TOOL_LIMIT_LIMIT"
    message = "There are as many limits as there may be; delete one first."


class EventsExpired(ServerError):
    """The run ended so long ago that its events are kept no more; its answer is."""

    status = 410
    code = "EVENTS_EXPIRED"
    message = "The events of this run are kept no more; its answer is in the session."


class RunGivenUp(ServerError):
    """One process after the other died over the run, or its input is not known any more."""

    code = "RUN_LOST"
    message = "The server was interrupted while it answered, too often to try once more."


class RunTimedOut(ServerError):
    """The run took longer than runs may."""

    status = 504
    code = "RUN_TIMEOUT"
    message = "The answer took too long; what there was of it by then is kept."


class StepTimedOut(RunTimedOut):
    """A step of the agent took longer than steps may."""

    code = "STEP_TIMEOUT"
    message = "A step of the answer took too long; what there was of it by then is kept."


class ModelFailed(UpstreamFailed):
    """The language model failed."""

    code = "LLM_ERROR"
    message = "The language model did not answer properly."


class RunGoesOn(Unavailable):
    """This server stops; another one goes on with the run."""

    message = (
        "This server is stopping and the run goes on without it: "
        "GET /v1/runs/{run_id}/events follows it."
    )
