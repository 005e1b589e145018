"""The numbered SQL files of the schema, append-only, as `projector migrate` and golang-migrate read them."""
