"""Where agents run. ``base`` is the contract; ``local`` this machine."""
