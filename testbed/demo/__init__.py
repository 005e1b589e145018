"""The demo: a simulated platform, a real Kafka and Postgres, and an independent check of the view."""
