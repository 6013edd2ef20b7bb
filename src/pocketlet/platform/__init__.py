"""Pocketdata: what every app of the platform gets."""
