"""Artifact documents (YAML, TOML, JSON) as typed values: located errors, digests, closures, differences. Pure."""
