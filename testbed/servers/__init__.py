"""Starts a real Kafka and a real Postgres, in containers or as local processes."""
