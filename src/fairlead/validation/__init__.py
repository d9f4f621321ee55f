"""Holding an answer to its schema: found, repaired, moved towards it, checked."""
