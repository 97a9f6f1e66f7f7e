"""What is written down when a run begins: the message that it answers."""

from dataclasses import replace

from persistence.errors import NotFound
from persistence.run_records import Run, RunInput
from persistence.unit_of_work import UnitOfWork
from server.errors import MessageNotFound


async def record_question(uow: UnitOfWork, run: Run, asked: RunInput) -> RunInput:
    """Writes the message of a run that begins, in the place of another one if it edits that.

    Returns:
        What the run answers.

    Raises:
        MessageNotFound: There is no message in the conversation to take the place of.
        NotFound: The session is gone.
    """
    if asked.message_id is not None:
        asked = await _take_place(uow, run, asked, asked.message_id)
    await uow.messages.add(
        run.session_row_id,
        role="user",
        content=asked.text,
        run_id=run.id,
        images=asked.images,
        audio=asked.audio,
    )
    return asked


async def _take_place(uow: UnitOfWork, run: Run, asked: RunInput, message_id: int) -> RunInput:
    try:
        superseded = await uow.turns.supersede_from(run.session_row_id, message_id, run.id)
    except NotFound as exc:
        raise MessageNotFound from exc
    asked = replace(asked, rewind_to=superseded.rewind_to)
    if not asked.text and not asked.images:
        question = superseded.question
        images = await uow.message_images.of_message(run.session_row_id, question)
        asked = replace(asked, text=question.content, images=tuple(images), audio=question.audio)
    await uow.runs.put_input(run.id, asked)
    return asked
