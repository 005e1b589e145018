"""A real Kafka and a real Postgres, started in containers or as processes of this machine."""
