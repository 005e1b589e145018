"""The event contract: what a record on the activity-log topic is, and what it says."""
