"""Approvals: what runs ask people, and what they answer."""
