"""Keras models and their parts."""
