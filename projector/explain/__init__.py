"""`explain`: one delegation's records, and whether its row agrees with them."""
