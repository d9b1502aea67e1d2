"""Scans, intensities and simulated heads: NumPy only, nothing of JAX."""
