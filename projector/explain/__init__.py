"""`projector explain`: the records of one delegation, and whether its row in the view matches them."""
