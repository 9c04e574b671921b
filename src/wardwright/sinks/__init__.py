"""Adapters: those who are told, such as a file of JSON lines or a signed webhook."""
