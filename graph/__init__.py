"""The agent: a LangGraph state machine that knows no HTTP, no SQL and no Qdrant."""
