"""The policies, one file a rule. ``POLICIES`` maps names to module:Class and imports nothing."""

_HERE = "gmsr.agents.policies"

POLICIES = {
    "gmsr": f"{_HERE}.gmsr:Gmsr",
    "gmsr-derivative": f"{_HERE}.gmsr:GmsrDerivative",
    "gmsr-fewest": f"{_HERE}.gmsr:GmsrFewest",
    "gmsr-damped": f"{_HERE}.damped:GmsrDamped",
    "gmsr-delay": f"{_HERE}.gmsr_delay:GmsrDelay",
    "random": f"{_HERE}.uniform:Uniform",
    "round-robin": f"{_HERE}.round_robin:RoundRobin",
    "jsq": f"{_HERE}.jsq:JoinShortestQueue",
    "least-inflight": f"{_HERE}.least_inflight:LeastInflight",
    "p2c": f"{_HERE}.p2c:PowerOfTwoChoices",
    "jiq": f"{_HERE}.jiq:JoinIdleQueue",
    "least-latency": f"{_HERE}.least_latency:LeastLatency",
    "fastest": f"{_HERE}.fastest:Fastest",
    "static": f"{_HERE}.static:Static",
    "prequal": f"{_HERE}.prequal:Prequal",
    "dgd-lb": f"{_HERE}.dgd:DgdLb",
    "peak-ewma": f"{_HERE}.peak_ewma:PeakEwma",
    "least-request": f"{_HERE}.least_request:LeastRequest",
    "weighted-round-robin": f"{_HERE}.weighted_round_robin:WeightedRoundRobin",
    "oracle": f"{_HERE}.oracle:Oracle",
}
