"""How servers' state reaches their own dispatchers. One file a feed; ``FEEDS`` maps names to module:Class."""

FEEDS = {"every-change": "gmsr.agents.feeds.every_change:EveryChange"}
