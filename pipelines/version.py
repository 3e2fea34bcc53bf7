"""The product's version: stated once here and read by the build."""

__version__ = "0.1.0"
