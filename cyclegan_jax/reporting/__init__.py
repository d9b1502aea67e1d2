"""What a run tells: log, pictures, progress."""
