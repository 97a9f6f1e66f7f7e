"""From production to dataset: one's own conversation as a sample."""
