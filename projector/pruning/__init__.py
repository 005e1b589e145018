"""What operators take out of the view: rows of long ago, and the texts of a workspace."""
