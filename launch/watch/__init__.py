"""A run while it goes on, or played back: in the terminal and in the browser."""
