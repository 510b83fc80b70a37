"""What is to be emulated: graph, curves, files, generators; and in ``theory`` what mathematics says of it."""
