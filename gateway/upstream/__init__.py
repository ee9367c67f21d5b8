"""The upstream side of the data path: heads, connections, pools. Knows no web framework."""
