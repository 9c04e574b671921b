"""Public test kit: fakes, conformance kits, a simulated event loop, ready-made worlds."""
