"""The sweeper: finds delegations that are stuck or overdue, and writes verdicts as activity events."""
