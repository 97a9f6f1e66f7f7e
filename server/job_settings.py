"""How files are made searchable: by whom, how often it is tried, how much may wait."""

from typing import Annotated

from pydantic import BaseModel, Field

_GIB = 1024**3


class JobSettings(BaseModel):
    """The jobs that make files searchable (`JOBS__*`)."""

    in_api: bool = True
    """Whether the server works on them itself; without, `youworker worker` has to run."""
    heartbeat_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0
    """How often a process that works on files says that it is there."""
    stalled_seconds: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """After so long without a word from its process a file is taken by another."""
    poll_seconds: Annotated[float, Field(gt=0, le=600)] = 5.0
    """How often a process looks for files that nobody told it of."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 10
    """How often a file is tried whose failure may pass, such as an embedding model that is down:
    for a quarter of an hour."""
    retry_seconds: Annotated[float, Field(gt=0)] = 2.0
    """Pause before the second attempt; each one after that is twice as long."""
    retry_limit_seconds: Annotated[float, Field(gt=0)] = 300.0
    """The longest pause between two attempts."""
    max_crashes: Annotated[int, Field(ge=1, le=100)] = 3
    """So often a process may die over a file; then the file is refused."""
    max_waiting_files: Annotated[int, Field(ge=1)] = 50_000
    """Files of one user that may wait or be worked on."""
    max_waiting_bytes: Annotated[int, Field(ge=1)] = 4 * _GIB
    """Originals that one user may have waiting, all together."""
    retention_days: Annotated[float, Field(gt=0)] = 30.0
    """How long one can read what has become of files; what is searchable stays."""
