"""Texts towards a schema: found, repaired, moved, checked, and refused where two readings are possible."""
