"""HTTP to the world outside: the one client of the product that leaves the building.

Addresses come from users, documents and models, so each is judged before anything is sent to it.
"""

from tools.outbound.fetcher import ANY_TYPE, Fetched, Fetcher

__all__ = ["ANY_TYPE", "Fetched", "Fetcher"]
