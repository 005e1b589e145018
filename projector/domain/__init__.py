"""Pure rules: how a delegation evolves, and what a batch changes. No SQL, no Kafka, no clock."""
