"""What can be wrong with a message, a session or what is sent along."""

from server.errors.kinds import BadRequest, Conflict, ResourceNotFound, Unavailable


class UnsupportedMessage(BadRequest):
    """A WebSocket's message is of a kind that this server does not take."""

    code = "UNSUPPORTED_MESSAGE"
    message = "This kind of message is not taken here."


class UnknownModel(BadRequest):
    """A model that is not on the allow-list."""

    code = "UNKNOWN_MODEL"
    message = "This model is not available here."


class UnsupportedMedia(BadRequest):
    """A recording or an image is of a kind that is not taken, not what it is said to be, or cut."""

    code = "UNSUPPORTED_MEDIA"
    message = "This kind of recording or image is not taken here."


class AudioEmpty(BadRequest):
    """There is no speech in the recording."""

    code = "AUDIO_EMPTY"
    message = "There is no speech in the recording."


class AudioTooLong(BadRequest):
    """The recording is longer than is transcribed."""

    code = "AUDIO_TOO_LONG"
    message = "The recording is too long."


class ImageTooLarge(BadRequest):
    """An image has more bytes or pixels than are taken."""

    code = "IMAGE_TOO_LARGE"
    message = "The image is too large."


class ImagesUnsupported(BadRequest):
    """The model does not take images."""

    code = "IMAGES_UNSUPPORTED"
    message = "This model takes no images."


class SessionNotFound(ResourceNotFound):
    """No such chat session."""

    code = "SESSION_NOT_FOUND"
    message = "There is no such session."


class MessageNotFound(ResourceNotFound):
    """No such message in the session, or an edit has taken it out of the conversation."""

    code = "MESSAGE_NOT_FOUND"
    message = "There is no such message in this session."


class ImageNotFound(ResourceNotFound):
    """The message has no such image."""

    code = "IMAGE_NOT_FOUND"
    message = "There is no such image in this message."


class SessionExists(Conflict):
    """The caller has a chat session of that name."""

    code = "SESSION_EXISTS"
    message = "You have a session of this name already."


class SpeechUnavailable(Unavailable):
    """Nothing can be transcribed now: the model is not there yet, or too much is waiting."""

    code = "SPEECH_UNAVAILABLE"
    message = "Recordings cannot be transcribed just now; try again in a moment, or send text."
