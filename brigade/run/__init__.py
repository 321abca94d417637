"""The commands: thin shells that wire the parts up, start processes, and speak to people."""
