"""Replay and simulate: recorded facts and contracts in, decisions and differences out. Pure."""
