"""One module for each command; each holds its `command`."""
