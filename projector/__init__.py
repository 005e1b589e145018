"""The projector: activity events on Kafka become rows of `delegations` in Postgres."""
