"""The only code that uses the Kafka client."""
