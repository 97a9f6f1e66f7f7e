"""What can go wrong with vectors.

PersistenceError
└── VectorError
    ├── EmbeddingError
    └── VectorIndexError
        ├── IndexUnavailable
        ├── IndexInUse
        ├── EmbeddingModelMismatch
        ├── OutdatedIndex
        └── InvalidVector
"""

from persistence.errors import PersistenceError


class VectorError(PersistenceError):
    """Embedding or searching failed."""


class EmbeddingError(VectorError):
    """The embedding model could not be reached, or answered with something unusable."""


class VectorIndexError(VectorError):
    """The vector index could not do what was asked."""


class IndexUnavailable(VectorIndexError):
    """The vector index did not answer, or not in time."""


class IndexInUse(VectorIndexError):
    """Another process holds the folder of the embedded vector index."""


class EmbeddingModelMismatch(VectorIndexError):
    """The index was filled by another embedding model, whose vectors cannot be compared."""


class OutdatedIndex(VectorIndexError):
    """The index was made by another version of the product, in a way unknown to this one."""


class InvalidVector(VectorIndexError):
    """A vector has the wrong length, no direction, or a component that is not a finite number."""
