"""The version: of the package, and of what it writes."""

import time

VERSION = '0.1.0'
SOFTWARE = f'cyclegan_jax {VERSION}'
# Nothing of the package is imported before: what has changed since may not be
# what is imported.
STARTED = time.time()
