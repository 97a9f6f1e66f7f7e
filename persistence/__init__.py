"""What lasts: PostgreSQL, Qdrant and blobs; the only folder that knows SQLAlchemy."""
