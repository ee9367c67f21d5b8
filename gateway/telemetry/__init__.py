"""Observes, never decides."""
