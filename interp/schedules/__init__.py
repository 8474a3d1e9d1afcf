"""Schedules: a workflow of our own that starts runs at their times.

A schedule is a run of the workflow `interp.schedule`, so that everything which holds for runs holds for it: one worker
moves it at a time, a crash loses nothing, and its history tells what it did. `specs` says what a schedule is and
refuses what cannot be one, `times` when it fires, `book` what it remembers, `keeper` is the workflow.
"""
