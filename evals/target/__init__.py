"""What is evaluated: the product, in this process or at an address, behind its HTTP API."""
