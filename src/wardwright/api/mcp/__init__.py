"""Our tools for clients of the Model Context Protocol: the server, over pipes and over HTTP."""
