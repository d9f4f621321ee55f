"""Fuzz targets for what reads bytes that strangers wrote; see `fuzz/README.md`."""
