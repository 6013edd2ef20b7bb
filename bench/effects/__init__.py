"""Effects under fire: a provider that breaks at every point, workers that die at every point, and a referee."""
