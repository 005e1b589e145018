"""`projector run`: the processes of the consumer group."""
