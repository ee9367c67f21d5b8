"""Measures the gateway's data path against other proxies doing the same work, side by side."""
