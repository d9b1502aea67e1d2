"""Networks of other programs: read, recognised, and written for them."""
