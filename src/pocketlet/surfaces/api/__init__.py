"""What owners and their programs can ask for: typed functions, a table of them, and the document that describes it."""
