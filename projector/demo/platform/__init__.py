"""A simulated agents' platform: seeded stories of delegations as records of the activity log."""

from projector.demo.platform.log import Mix, Record, logged, partition_of, records
from projector.demo.platform.stories import KINDS

__all__ = ["KINDS", "Mix", "Record", "logged", "partition_of", "records"]
