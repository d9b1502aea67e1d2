"""CycleGAN in JAX: one MRI contrast into another, without paired scans."""

__version__ = '0.1.0'
