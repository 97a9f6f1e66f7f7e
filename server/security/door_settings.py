"""Who may come to the door, and how often (`SECURITY__*`)."""

from pydantic import BaseModel, PositiveInt

from persistence.rate_limits import Quota
from server.security.networks import NetworkList


class DoorSettings(BaseModel):
    """What is asked of every request before its route is."""

    allowed_ips: NetworkList = ()
    """Addresses that may ask anything but `/health`; none named means all."""
    trusted_proxies: NetworkList = ()
    """Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; name no clients."""
    rate_limit_per_minute: PositiveInt = 100
    """Requests of one user, on all replicas together."""
    rate_limit_burst: PositiveInt = 120
    """Requests at once after a rest."""
    ip_rate_limit_per_minute: PositiveInt = 1_000
    """Requests from one address, which many users may share."""
    ip_rate_limit_burst: PositiveInt = 1_200

    @property
    def user_quota(self) -> Quota:
        """How often one user may ask."""
        return Quota(per_minute=self.rate_limit_per_minute, burst=self.rate_limit_burst)

    @property
    def address_quota(self) -> Quota:
        """How often may be asked from one address."""
        return Quota(per_minute=self.ip_rate_limit_per_minute, burst=self.ip_rate_limit_burst)
