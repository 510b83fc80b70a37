"""What a run did, proven by others than the run itself: the operating system's tables."""
