"""The gateway's pure half: callers, keys, provenance."""
