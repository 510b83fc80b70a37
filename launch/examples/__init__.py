"""Packaged topologies, and a small trace."""
