"""Files of scans, one module a library."""
