"""What looks like a credential or like data about a person: one table, for rules and for redaction alike."""
