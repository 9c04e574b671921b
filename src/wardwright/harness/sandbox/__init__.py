"""The world of tools behind walls: the real hands, bubblewrap, Landlock, and what this machine can hold."""
