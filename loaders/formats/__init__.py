"""One family of formats a module, each with one function, load."""
