"""What the entry points do, and the parser that they share."""
