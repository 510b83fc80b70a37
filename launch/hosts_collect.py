"""``gmsr hosts collect``: journals still on their hosts: the launcher did not live to fetch them, or could not."""

from pathlib import Path
from typing import Any

from gmsr.topology.errors import UserError

from .control import read_control
from .place.inventory import Host
from .place.many import Gathered
from .place.on_ssh import collect_all
from .record.folder import read_json, write_json


def fetch(run_dir: Path) -> list[Gathered]:
    """Fetch what a run's hosts still keep; agents that still run there are ended. Returns what became of each host.

    Raises UserError where the run has none.
    """
    if not (run_dir / "plan.json").exists():
        raise UserError(f"{run_dir}: is no run's; name the directory of a run")
    keepers = read_control(run_dir)["keepers"]
    file = run_dir / "launch.json"
    launch: dict[str, Any] = read_json(file) if file.exists() else {}
    hosts = launch.get("hosts", {})
    wanted = [each for each in keepers if not launch or hosts.get(each["name"], {}).get("uncollected")]
    if not wanted:
        raise UserError(f"{run_dir}: no host keeps anything of this run; gmsr summary prints it")
    kept = [(_host(each), each["kept"]) for each in wanted]
    address = wanted[0].get("ray")
    if address:
        from .place.on_ray import fetch as fetch_through

        found = fetch_through(address, kept, run_dir)
    else:
        found = collect_all(kept, run_dir)
    for each in found:
        if each.host in hosts:
            hosts[each.host]["uncollected"] = each.why
    if launch:
        write_json(file, launch)
    return found


def _host(plain: dict[str, Any]) -> Host:
    known = {name: plain[name] for name in Host._fields}
    return Host(**{**known, "ssh": tuple(known["ssh"])})
