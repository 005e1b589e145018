"""A simulated platform: scenarios of delegations as records of the activity log, equal for equal seeds."""

from testbed.workload.log import Mix, Record, partition_of, records, with_offsets
from testbed.workload.scenarios import SCENARIO_WEIGHTS

__all__ = ["SCENARIO_WEIGHTS", "Mix", "Record", "partition_of", "records", "with_offsets"]
