"""The demo: a platform, its Kafka and its Postgres on this machine, and an independent judge of the view."""
