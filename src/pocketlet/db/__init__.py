"""The only package that speaks to Postgres."""
