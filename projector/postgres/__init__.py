"""The only code that talks to Postgres, apart from the ledger."""
