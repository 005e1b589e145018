"""The push of results: each caller is told once how its delegation ended (docs/pushing.md)."""
