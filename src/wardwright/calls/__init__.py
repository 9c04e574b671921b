"""One governed model call: the sans-I/O machine, and the receipt that says what it did. Pure."""
