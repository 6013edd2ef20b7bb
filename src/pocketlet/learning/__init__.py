"""Learning: what the owner says becomes a draft, the draft proves itself on past runs, and only then does it count."""
