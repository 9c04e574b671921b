"""What of the Model Context Protocol is decided without talking to anybody: definitions, pins, findings."""
