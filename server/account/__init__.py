"""One's own account: looked at, taken along, wiped, ended."""
