"""Groups: people who share documents."""
