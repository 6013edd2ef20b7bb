"""Triggers as agent.toml states them, and as rows: what is due when. What happens then is `agents.waking`."""
