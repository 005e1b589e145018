"""The dashboard: pages and JSON over the view, for reading only."""
