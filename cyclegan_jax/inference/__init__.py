"""Scans translated by any function from images to images."""
