"""The append-only truth: envelope, chain, verification, a call's life. Pure."""
