"""What becomes of hits: their scores, their order, and which of them say the same."""
