"""Words of texts and questions, as numbers that say nothing to whoever has no key."""
