"""Asking for an answer that fits, as each model takes it: natively, by a tool, in words."""
