"""Queries, one aggregate a file; all take the caller's AccessScope."""
