"""Fairlead in front of servers that nobody here wrote, on models of a few thousand numbers that are made on the spot."""
