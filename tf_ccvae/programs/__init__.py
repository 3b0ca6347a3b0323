"""What the entry points do, and what those share that work on a run."""
