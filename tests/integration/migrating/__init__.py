"""The schema and its migrations, on databases that start empty."""
