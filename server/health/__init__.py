"""Whether the parts are up."""
