"""A suite put to a product, by Inspect."""
