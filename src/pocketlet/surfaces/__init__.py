"""How people and programs reach Pocketlet."""
