"""Vectors: the port to the index, its two engines, and the client of the embedding model."""
