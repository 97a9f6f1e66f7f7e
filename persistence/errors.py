"""Everything that can go wrong in this folder.

PersistenceError
├── DatabaseError
│   ├── DatabaseUnavailable
│   │   └── StatementTimeout
│   ├── Conflict
│   │   ├── UsernameTaken
│   │   ├── DocumentExists
│   │   ├── GroupNameTaken
│   │   ├── MembershipExists
│   │   ├── LastGroupAdmin
│   │   ├── NotAMember
│   │   ├── TooManyKeys
│   │   ├── TooManyPolicies
│   │   ├── TooManyToolLimits
│   │   ├── ServerNameTaken
│   │   ├── RunInProgress
│   │   ├── QueueFull
│   │   ├── RunLost
│   │   └── FileLost
│   ├── EventsMissing
│   ├── NotFound
│   └── InvalidValue
├── SchemaError
│   └── SchemaTooNew
├── EncryptionError
│   ├── EncryptionKeyError
│   └── DecryptionError
├── AuditTrailError
│   ├── AuditChainBroken
│   └── AuditHeadUnusable
├── EmbeddedPostgresError
│   ├── DataDirInUse
│   └── EmbeddedPostgresFailed
└── AccessDenied
    ├── KeyEnded
    └── UserLockedOut
"""


class PersistenceError(Exception):
    """Something that lasts could not be read or written."""


class DatabaseError(PersistenceError):
    """The database refused a statement for a reason that has no class of its own."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, is busy, or broke off; trying again may help."""


class StatementTimeout(DatabaseUnavailable):
    """A statement ran into `statement_timeout_seconds` and was cancelled."""


class Conflict(DatabaseError):
    """A row collides with one that is there already, or two transactions collided."""


class UsernameTaken(Conflict):
    """A user of that name exists; letter case does not count."""


class DocumentExists(Conflict):
    """The owner has a document with the same content."""


class GroupNameTaken(Conflict):
    """The installation has a group of that name; letter case does not count."""


class MembershipExists(Conflict):
    """The user is in the group already."""


class LastGroupAdmin(Conflict):
    """Without this admin nobody could administer the group."""


class NotAMember(Conflict):
    """A document can be shared only with a group that its owner is in."""


class TooManyKeys(Conflict):
    """The user has as many API keys that are good as anybody may have."""


class TooManyPolicies(Conflict):
    """There are as many rules about tool calls as there may be."""


class TooManyToolLimits(Conflict):
    """There are as many rules on what tool calls may take as there may be."""


class ServerNameTaken(Conflict):
    """Another MCP server has the name, but for letter case."""


class RunInProgress(Conflict):
    """The session has a run that is alive; only one may be."""


class QueueFull(Conflict):
    """So many messages of the session wait for their turn already."""


class RunLost(Conflict):
    """The run belongs to another process now, or has ended: this one writes nothing more of it."""


class FileLost(Conflict):
    """The file belongs to another worker now, or was cancelled: this one writes nothing of it."""


class EventsMissing(DatabaseError):
    """Events of a run were taken out of the log from outside."""


class NotFound(DatabaseError):
    """No such row, or none that the scope may see: the two cannot be told apart."""


class InvalidValue(DatabaseError):
    """A value does not fit its column, for example a NUL in a name that is stored in clear."""


class SchemaError(PersistenceError):
    """The schema could not be brought to this program's revision."""


class SchemaTooNew(SchemaError):
    """The database was migrated by a newer program than this one."""


class EncryptionError(PersistenceError):
    """Data could not be protected or opened."""


class EncryptionKeyError(EncryptionError):
    """An encryption key is missing or is not 32 url-safe base64 bytes."""


class DecryptionError(EncryptionError):
    """A stored value is no token of these keys, was tampered with, or belongs to another place."""


class AuditTrailError(PersistenceError):
    """The audit trail is not as this server remembers it."""


class AuditChainBroken(AuditTrailError):
    """The seal that this server remembers is not in the chain."""


class AuditHeadUnusable(AuditTrailError):
    """What this server remembers of the chain cannot be read or written, or was changed."""


class EmbeddedPostgresError(PersistenceError):
    """The embedded PostgreSQL cannot serve."""


class DataDirInUse(EmbeddedPostgresError):
    """Another process serves from this data directory."""


class EmbeddedPostgresFailed(EmbeddedPostgresError):
    """The embedded PostgreSQL could not be set up or did not start; its log says why."""


class AccessDenied(PersistenceError):
    """The scope may not do this at all, whatever the row."""


class KeyEnded(AccessDenied):
    """The API key that something was asked with was revoked or has expired."""


class UserLockedOut(AccessDenied):
    """The user was deactivated, or the account is being deleted."""
