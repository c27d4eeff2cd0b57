"""Counts the instructions of the hottest paths, against a baseline that is kept with the code."""
