"""A simulated agents' platform: seeded stories of delegations as records of the activity log."""

from testbed.workload.log import Mix, Record, logged, partition_of, records
from testbed.workload.scenarios import KINDS

__all__ = ["KINDS", "Mix", "Record", "logged", "partition_of", "records"]
