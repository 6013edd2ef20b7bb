"""Everything that leaves the machine leaves from here."""
