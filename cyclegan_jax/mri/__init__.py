"""What a scan is: grids, heads, intensities, patients. Nothing of JAX."""
