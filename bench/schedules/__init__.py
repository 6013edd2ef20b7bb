"""Ten thousand agents on schedules: how late they begin, and what the idle ones cost."""
