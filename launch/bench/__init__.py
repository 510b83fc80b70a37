"""``gmsr bench``: one file a figure of the README, each beside a bare yardstick of the same run."""
