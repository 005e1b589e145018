"""For services that write to `delegations` themselves."""
