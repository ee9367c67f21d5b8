"""An edge gateway for Django services: verifies JWTs at the edge, forwards the rest faithfully."""

__version__ = "0.1.0"
