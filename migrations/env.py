"""Runs the migrations on the connection that the caller hands over."""

from alembic import context

from persistence.models import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
