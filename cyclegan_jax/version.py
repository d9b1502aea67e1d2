"""The version: of the package, and of what it writes."""

VERSION = '0.1.0'
SOFTWARE = f'cyclegan_jax {VERSION}'
