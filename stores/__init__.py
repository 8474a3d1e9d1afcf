"""The journals that ship with interp, one module per URL scheme; found by entry point, never imported by name."""
