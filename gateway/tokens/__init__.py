"""Signed tokens: keys, verification, minting. Knows no HTTP framework."""
