"""`verify` and `rebuild`: the log folded again beside the view, compared, and written where it differs."""
