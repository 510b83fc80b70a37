"""``python -m gmsr`` is the ``gmsr`` command."""

from gmsr.launch.cli import main

main()
