"""Where videos come from: a folder of them, so far."""
