"""How far to believe a run."""
