"""Records as people and machines read them."""
