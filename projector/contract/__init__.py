"""The event contract in code: `translate` turns one Kafka record into facts about one delegation.

The rules are written down in events/README.md. `models` is for the programs that produce activity rows; the reader
does not use it.
"""
