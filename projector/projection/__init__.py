"""Records to rows: one batch, one transaction."""
