"""Chat: a question becomes a run, a run becomes an answer."""
