"""One command that runs the whole platform on one machine, and leaves nothing behind when it ends."""
