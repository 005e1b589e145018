"""The schema and its migrations, on databases that hold nothing yet."""
