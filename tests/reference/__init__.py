"""The parts of the documentation that repeat code: settings, commands, tables of the database, events."""
