"""The event contract: from the bytes of a record to facts about delegations."""
