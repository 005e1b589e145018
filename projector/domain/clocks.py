"""How far the clocks of a deployment may differ."""

from datetime import timedelta

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""The largest expected difference between the clocks of the platform, its producers and the broker."""
