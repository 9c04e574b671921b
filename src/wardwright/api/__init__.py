"""The HTTP front door: the edge that carries model calls, and everything else on Starlette."""
