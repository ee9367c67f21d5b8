"""The admin listener: health, metrics, the admin API and its dashboard."""
