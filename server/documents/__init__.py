"""Documents: uploads, the index, search."""
