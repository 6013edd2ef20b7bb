"""The policy core: whether an outside action may happen. Pure: no clock, no database, no network, no model."""
