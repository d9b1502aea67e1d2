"""Devices, checkpoints, signals and locks: what the machine has to do with."""
