"""Fairlead against real providers: each feature once, with the keys of the environment, under a cap of its own."""
