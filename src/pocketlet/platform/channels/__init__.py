"""Ways to the owner: what a channel is (`definitions`), and how each kind carries a message."""
