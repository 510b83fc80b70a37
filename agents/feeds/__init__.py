"""How servers' state reaches their own dispatchers. One file a feed; ``FEEDS`` maps names to module:Class."""

_HERE = "gmsr.agents.feeds"

FEEDS = {
    "every-change": f"{_HERE}.every_change:EveryChange",
    "on-change": f"{_HERE}.on_change:OnChange",
    "periodic": f"{_HERE}.periodic:Periodic",
    "piggyback": f"{_HERE}.piggyback:Piggyback",
    "probe": f"{_HERE}.probe:Probe",
    "tokens": f"{_HERE}.tokens:Tokens",
    "none": f"{_HERE}.silent:Silent",
}
