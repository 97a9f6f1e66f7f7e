"""What it means to delete a thing with all that hangs on it, for the features that do."""
