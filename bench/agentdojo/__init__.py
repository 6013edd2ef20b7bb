"""AgentDojo's ground-truth calls, made by a model that does whatever it read, against the policy core."""
