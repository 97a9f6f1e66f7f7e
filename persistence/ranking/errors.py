"""What can go wrong with the order of passages.

PersistenceError
└── RerankError
"""

from persistence.errors import PersistenceError


class RerankError(PersistenceError):
    """The reranker could not be reached in time, or answered with something unusable."""
