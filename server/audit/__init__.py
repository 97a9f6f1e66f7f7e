"""The audit trail, written in the act's own transaction."""
