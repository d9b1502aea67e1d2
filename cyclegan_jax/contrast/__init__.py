"""Where generators start from: a map between contrasts, without pairs."""
