"""A history as people read it: folded into a tree of commands, laid out in rows, put into words. Pure."""
