"""The main story, end to end."""
