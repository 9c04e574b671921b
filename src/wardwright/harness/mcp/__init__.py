"""Connections to MCP servers, and what both sides of such a connection need of the official SDK."""
