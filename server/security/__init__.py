"""Who is calling: credentials and principals."""
