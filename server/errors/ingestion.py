"""What can become of files that are to be made searchable."""

from server.errors.kinds import Conflict, RateLimited, ResourceNotFound, ServerError


class ContentExists(Conflict):
    """The content that a document is to be given is that of another one already."""

    code = "DOCUMENT_EXISTS"
    message = "You have another document with this content already."


class OriginalLost(ServerError):
    """What was sent is not there any more."""

    code = "ORIGINAL_LOST"
    message = "The file that was sent is not there any more; send it again."


class IngestCrashed(ServerError):
    """One process after the other died over the file."""

    code = "INGEST_CRASHED"
    message = "The server was interrupted while it read this file, too often to try once more."


class IngestCancelled(Conflict):
    """The run was cancelled before the file was searchable."""

    code = "INGEST_CANCELLED"
    message = "This was cancelled before it was searchable."


class IngestRunNotFound(ResourceNotFound):
    """No such ingest run."""

    code = "INGEST_RUN_NOT_FOUND"
    message = "There is no such ingest run."


class IngestQueueFull(RateLimited):
    """So much of the user waits to be made searchable already."""

    code = "INGEST_QUEUE_FULL"
    message = "Too much of yours waits to be made searchable already; send this later."
