"""The only code that uses psycopg, apart from the ledger."""
