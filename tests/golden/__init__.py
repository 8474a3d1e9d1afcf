"""Histories written by each version of interp, and the workflows that wrote them. They stay replayable for ever."""
