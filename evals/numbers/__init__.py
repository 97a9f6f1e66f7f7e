"""Figures with what is known of their error."""
