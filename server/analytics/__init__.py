"""What was used: figures of a person, of a group, of everybody."""
