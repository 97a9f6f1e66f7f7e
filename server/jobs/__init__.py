"""Procrastinate: takes jobs out of the database's queue and runs them."""
