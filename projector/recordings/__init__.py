"""Recordings: files of records that `projector record` writes and `projector replay` reads."""
