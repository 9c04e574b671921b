"""Words every part shares. Pure: no clock, no luck, no I/O."""
