"""Measurements that need minutes and a quiet machine. Not part of the wheel."""
