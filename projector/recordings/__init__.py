"""Files of records: written by `record`, read by `replay`."""
