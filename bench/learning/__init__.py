"""The learning benchmark: seeded streams through the real loop, manager and gate. Only the model is a stand-in."""
