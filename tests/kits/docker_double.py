"""A `docker` on PATH that keeps to the documented behaviour of the options we use, writes down what it is asked, and whose
containers are real Redis servers.

Its compose files are JSON, which is YAML. `state` breaks it on purpose: see `DockerDouble.set`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from resilience.services.redis import stand_in as redis

_PROGRAM = """#!{python}
import json, os, pathlib, re, signal, subprocess, sys, time
folder = pathlib.Path({folder!r})
asked = sys.argv[1:]
state = json.loads((folder / "double.json").read_text())
with (folder / "asked.jsonl").open("a") as file:
    file.write(json.dumps(asked) + "\\n")
table = folder / "containers.json"
containers = json.loads(table.read_text()) if table.exists() else {{}}

def run(name, host, port, password="", **more):
    if state["dies"]:
        containers[name] = dict(pid=0, **more)
    else:
        argv = [state["redis"], "--port", port, "--bind", host, "--save", "", "--dir", str(folder)]
        argv += ["--requirepass", password] if password else []
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        containers[name] = dict(pid=process.pid, **more)
    table.write_text(json.dumps(containers))

def remove(name):
    one = containers.pop(name)
    if one["pid"]:
        os.kill(one["pid"], signal.SIGTERM)
        stat = pathlib.Path("/proc", str(one["pid"]), "stat")
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
    table.write_text(json.dumps(containers))

if state["hangs"] in asked:
    time.sleep(60)
if state["engine"] != "answers":
    sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
if asked[:1] == ["ps"]:
    print("\\n".join(containers))
elif asked[:2] == ["compose", "version"]:
    print("Docker Compose version v2.29.1") if state["compose"] else sys.exit("docker: 'compose' is not a docker command.")
elif asked[:2] == ["compose", "--project-name"]:
    project, rest = asked[2], asked[3:]
    services = {{}}
    if rest[0] == "--file":
        path, rest = pathlib.Path(rest[1]), rest[2:]
        try:
            text = re.sub(r"\\$\\{{(\\w+)\\}}", lambda match: os.environ.get(match[1], ""), path.read_text())
            services = json.loads(text)["services"]
        except ValueError:
            sys.exit("yaml: line 3: could not find expected ':'")
    if rest[:2] == ["--profile", "*"]:
        rest = rest[2:]
    if rest == ["config", "--format", "json"]:
        for one in services.values():
            ports = [text.rsplit(":", 2) for text in one.get("ports", [])]
            one["ports"] = [dict(mode="ingress", host_ip=h, published=p, target=int(t), protocol="tcp") for h, p, t in ports]
        print(json.dumps(dict(name=project, services=services)))
    elif rest[:3] == ["up", "--detach", "--wait"]:
        if not state["healthy"]:
            sys.exit("container " + project + "-" + rest[3] + "-1 is unhealthy")
        for service in [*services[rest[3]].get("depends_on", []), rest[3]]:
            name = project + "-" + service + "-1"
            if name not in containers and services[service].get("ports"):
                host, port, _ = services[service]["ports"][0].rsplit(":", 2)
                run(name, host, port, services[service].get("environment", {{}}).get("PASSWORD", ""), project=project)
    elif rest == ["down"]:
        for name in [name for name, one in containers.items() if one.get("project") == project]:
            remove(name)
    elif rest[:3] == ["rm", "--stop", "--force"]:
        name = project + "-" + rest[3] + "-1"
        if name in containers:
            remove(name)
    else:
        sys.exit("unknown: " + " ".join(asked))
elif asked[:4] == ["image", "inspect", "--format", "{{{{json .Config.ExposedPorts}}}}"]:
    if not state["image"]:
        sys.exit("Error response from daemon: No such image: " + asked[4])
    print(json.dumps({{port: {{}} for port in state["exposes"]}} or None))
elif asked[:2] == ["pull", "--quiet"]:
    if not state["registry"]:
        sys.exit("Error response from daemon: pull access denied for " + asked[2])
    (folder / "double.json").write_text(json.dumps(dict(state, image=True)))
elif asked[:3] == ["run", "--detach", "--name"]:
    name = asked[3]
    if name in containers:
        sys.exit("Conflict. The container name is already in use")
    label, publish = asked[asked.index("--label") + 1], asked[asked.index("--publish") + 1]
    host, port, _ = publish.rsplit(":", 2)
    passed = "PASSWORD" in [asked[at + 1] for at, word in enumerate(asked) if word == "--env"]
    run(name, host.strip("[]"), port, os.environ["PASSWORD"] if passed else "", label=label)
    print("4f66ad9a0b2e")
elif asked[:2] == ["inspect", "--format"]:
    if asked[3] not in containers:
        sys.exit("Error: No such object: " + asked[3])
    one = containers[asked[3]]
    if "Labels" in asked[2]:
        print(one["label"].partition("=")[2])
    else:
        up = bool(one["pid"])
        health = dict(Health=dict(Status=state["health"], FailingStreak=0)) if state["health"] else {{}}
        print(json.dumps(dict(Status="running" if up else "exited", Running=up, ExitCode=0 if up else 3, **health)))
elif asked[0] == "logs":
    print("initialised\\nFATAL: no room")
elif asked[:3] == ["rm", "--force", "--volumes"]:
    if asked[3] in containers:
        remove(asked[3])
else:
    sys.exit("unknown: " + " ".join(asked))
"""


class DockerDouble:
    """The command in `folder`/bin, what it was asked, and the containers that it runs."""

    def __init__(self, folder: Path, command: str = "docker") -> None:
        self.folder = folder
        binary = next((one for one in redis.find_binaries() if one.provider == "system"), redis.find_binaries()[0])
        (folder / "bin").mkdir(parents=True)
        self.set(
            engine="answers", compose=True, healthy=True, hangs="", dies=False, health="", image=True, registry=True,
            exposes=["6379/tcp"], redis=str(binary.path),
        )  # fmt: skip
        program = folder / "bin" / command
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)

    def set(self, **state: object) -> None:
        """Break it: `engine` not "answers", no `compose` plug-in, not `healthy`, `hangs` at a word, `dies` at once, …"""
        path = self.folder / "double.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **state}))

    @property
    def asked(self) -> list[list[str]]:
        path = self.folder / "asked.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def containers(self) -> dict[str, dict[str, object]]:
        path = self.folder / "containers.json"
        found: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def end(self) -> None:
        """End what it still runs, by pid."""
        for one in self.containers.values():
            if isinstance(pid := one["pid"], int) and pid:
                os.kill(pid, signal.SIGTERM)
