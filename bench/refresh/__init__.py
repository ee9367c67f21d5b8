"""Measures refreshes with rotation: the gateway against simplejwt's own view, side by side."""
