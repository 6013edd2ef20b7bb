"""Pocketlet: a self-hosted worker for recurring jobs that gets better as you correct it."""
