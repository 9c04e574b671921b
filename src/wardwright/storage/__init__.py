"""Adapters: segments on disk, keys, blobs, the SQLite index."""
