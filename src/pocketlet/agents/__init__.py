"""The agents: briefing, loop, tools, effects, and the learning around them."""
