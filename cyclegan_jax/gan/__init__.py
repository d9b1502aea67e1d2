"""The algorithm: losses, pools, state and step. Knows nothing but JAX."""
