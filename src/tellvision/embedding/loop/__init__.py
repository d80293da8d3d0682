"""What the training loop keeps: its learning rate, averaged weights, state on disk, journal."""
