"""Faults: schedules drawn at random, and what makes them happen in a live run."""
