"""Data sources, each returning the same `Dataset`, and the pipeline that makes batches from it."""
