"""What a person or a machine starts: command line, placement of processes, journals, results.

Agents never see it: it starts and observes them, and routes nothing.
"""
