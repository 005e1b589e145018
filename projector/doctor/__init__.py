"""`projector doctor`: what must be changed before or while the projector runs. It changes nothing."""
