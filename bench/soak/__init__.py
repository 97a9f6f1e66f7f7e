"""Kills the product at random moments, and checks that nothing was lost and nothing done twice."""
