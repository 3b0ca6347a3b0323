"""Drawn data sets in eight styles that nobody tuned the program for."""
