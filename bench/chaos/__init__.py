"""The crash sweep: working processes die, sleep and lose their Postgres at every point; nothing is lost or doubled."""
