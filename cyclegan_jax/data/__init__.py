"""From scans to batches, and the embedded simulated heads."""
