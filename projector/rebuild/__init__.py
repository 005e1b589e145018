"""`verify` and `rebuild`: fold a source into a second copy of the view, compare the two, repair the drift."""
