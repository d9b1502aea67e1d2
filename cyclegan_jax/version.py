"""The version: of the package, and of what it writes."""

VERSION = '0.1.0'
