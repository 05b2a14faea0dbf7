"""Honest benchmarks: each is a command with its method on top of its file."""
