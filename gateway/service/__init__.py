"""Wires the floors together from one configuration file."""
