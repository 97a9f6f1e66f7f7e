"""The embedded PostgreSQL: start it, yield its address."""
