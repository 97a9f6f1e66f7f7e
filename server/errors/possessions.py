"""What can be wrong with accounts, groups and documents."""

from server.errors.kinds import BadRequest, Conflict, ResourceNotFound, ServerError


class NotConfirmed(BadRequest):
    """The caller did not write down what is about to be destroyed."""

    code = "CONFIRMATION_MISMATCH"
    message = "Send your own username, letter for letter, as 'confirm'."


class DocumentNotFound(ResourceNotFound):
    """No such document."""

    code = "DOCUMENT_NOT_FOUND"
    message = "There is no such document."


class RangeNotSatisfiable(ServerError):
    """A part of a document is asked for that begins behind its end."""

    status = 416
    code = "RANGE_NOT_SATISFIABLE"
    message = "The document ends before this part begins."


class PathNotAllowed(BadRequest):
    """A path of the server is not written as one has to be."""

    code = "PATH_NOT_ALLOWED"
    message = "Give an absolute path without '..'."


class PathNotFound(ResourceNotFound):
    """Nothing is there, or nothing below the folders that are open: which, is not told."""

    code = "PATH_NOT_FOUND"
    message = "There is no such file or folder below those that this server reads from."


class PathUnreadable(BadRequest):
    """It lies below the folders that are open, but the server may or can not read it."""

    code = "PATH_UNREADABLE"
    message = "The server cannot read this."


class TooManyFiles(BadRequest):
    """A folder or a form holds more files than are taken in at once."""

    code = "TOO_MANY_FILES"
    message = "The folder holds more files than are taken in at once."


class GroupNotFound(ResourceNotFound):
    """No such group, or none that the caller is in."""

    code = "GROUP_NOT_FOUND"
    message = "There is no such group."


class UserNotFound(ResourceNotFound):
    """No such user."""

    code = "USER_NOT_FOUND"
    message = "There is no such user."


class UsernameExists(Conflict):
    """The username is taken."""

    status = 400
    code = "USERNAME_EXISTS"
    message = "This username is taken."


class GroupNameExists(Conflict):
    """The group name is taken."""

    status = 400
    code = "GROUP_NAME_EXISTS"
    message = "This group name is taken."


class MemberExists(Conflict):
    """The user is in the group already."""

    status = 400
    code = "MEMBERSHIP_EXISTS"
    message = "This user is a member already."


class AccountExists(Conflict):
    """The provider's user has the name of an account that is not theirs."""

    code = "ACCOUNT_EXISTS"
    message = "Another account has this username already; ask an administrator."


class GroupNeedsAdmin(Conflict):
    """Without this admin nobody could administer the group."""

    code = "LAST_GROUP_ADMIN"
    message = "A group that has members keeps an admin; make somebody else one first."


class RootAccount(Conflict):
    """The root account stays as long as the installation does."""

    code = "ROOT_ACCOUNT"
    message = "The root account cannot be deleted."


class IngestConflict(Conflict):
    """Another process is taking in the same file for the same user."""

    code = "INGEST_IN_PROGRESS"
    message = "The same file is being taken in already."
