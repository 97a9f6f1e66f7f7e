"""Questions: what tool servers ask people while a call runs, and what they answer."""
