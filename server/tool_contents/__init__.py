"""What tools answer with beside text: kept for the person, shown to models that see."""
