"""Adapters: transports to upstream endpoints, scripted and replay doubles, tokenizers."""
