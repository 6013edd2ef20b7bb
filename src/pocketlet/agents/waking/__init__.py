"""From what is due to a run and back: slots are recorded, begun and settled, each in one transaction."""
