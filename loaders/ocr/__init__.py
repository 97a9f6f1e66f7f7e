"""Words out of pictures."""
