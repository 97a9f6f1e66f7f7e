"""HTTP: requests to services, values to responses; the composition root."""
