"""Generators and discriminators, and the layers they are made of."""
