"""Checks the rendered manifests: their schemas, and how they fit together and to the services' own settings.

Run by check.sh, which brings kubectl and the schemas. Exit code 1 if anything is wrong.
"""

import functools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
KUBECTL = Path(sys.executable).parent / "kubectl"

# The oldest and the newest version that must take the manifests.
VERSIONS = ("1.33", "1.37")
# Kinds that Kubernetes does not have itself.
CUSTOM = {"ScaledObject": HERE / "schemas" / "scaledobject-keda-v1alpha1.json"}
WORKLOADS = ("Deployment", "StatefulSet", "Job")
# What a service may hold by its own settings: (setting, how often).
MEMORY = {
    "ingest-api": ("ingest.max_in_flight_bytes", 2),
    "aggregator": ("pipeline.window.memory_limit", 1),
    "s3-sink": ("sink.memory_limit", 1),
}
PARTITIONS = 6

# It reads a file of a megabyte for each document.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


class Rendered:
    """What one kustomization gives."""

    def __init__(self, name):
        self.name, self.troubles, self.count = name, [], 0
        answer = subprocess.run([KUBECTL, "kustomize", HERE / name], capture_output=True, text=True)
        if answer.returncode:
            sys.exit(f"{name}/kustomization.yaml: kubectl cannot render it: {answer.stderr.strip()}")
        self.documents = list(yaml.safe_load_all(answer.stdout))
        self.workloads = self.of(*WORKLOADS)

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind, name):
        return next((d for d in self.of(kind) if d["metadata"]["name"] == name), None)

    def hold(self, holds, document, wrong, mend):
        """Notes a trouble unless `holds`."""
        self.count += 1
        if not holds:
            kind, name = document["kind"], document["metadata"]["name"]
            self.troubles.append(f"{source(self.name, kind, name)}: {kind}/{name}: {wrong}: {mend}")

    def environment(self, document, container):
        variables = {}
        for origin in container.get("envFrom", []):
            if "configMapRef" in origin:
                name = origin["configMapRef"]["name"]
                found = self.named("ConfigMap", name)
                self.hold(found, document, f"there is no ConfigMap {name}", "add it to configMapGenerator")
                variables |= found["data"] if found else {}
        return variables | {v["name"]: v.get("value", "(of the pod)") for v in container.get("env", [])}


@functools.cache
def sources():
    """Where each document is written, the first place to look for its mistakes."""
    places = {}
    for path in sorted(HERE.glob("*/**/*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] not in ("Kustomization", "Component"):
                key = (document["kind"], document["metadata"]["name"])
                places.setdefault(key, []).append(path.relative_to(HERE))
    return places


def source(rendered, kind, name):
    """The file of a document: in the overlay itself, or where it takes it from."""
    paths = sources().get((kind, name), [Path(rendered, "kustomization.yaml")])
    own = [path for path in paths if path.is_relative_to(rendered)]
    return f"deploy/kubernetes/{(own or paths)[0]} (in {rendered})"


def template(workload):
    return workload["spec"]["template"]


def labels(workload):
    return template(workload)["metadata"]["labels"]


def containers(workload):
    spec = template(workload)["spec"]
    return spec.get("initContainers", []) + spec["containers"]


def matches(selector, found):
    """Whether a label selector takes these labels."""
    exact = selector.get("matchLabels", {}).items() <= found.items()
    rules = selector.get("matchExpressions", [])
    assert all(rule["operator"] == "In" for rule in rules), "only the operator In is understood here"
    return exact and all(found.get(rule["key"]) in rule["values"] for rule in rules)


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|min|m|h)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600}[unit]


def size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)B?", text).groups()
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


@functools.cache
def defaults():
    """Every setting of the services, from the page that their tests keep."""
    page = (REPOSITORY / "docs" / "reference" / "config.md").read_text()
    return dict(re.findall(r"^\| `([a-z0-9_.]+)` \| `?([^`|]*?)`? \|", page, re.MULTILINE))


def setting(environment, key):
    """A setting as the service will have it: variable, configuration file of the image, default."""
    variable = "PAGEVIEW_" + key.upper().replace(".", "__")
    if variable in environment:
        return environment[variable]
    if "PAGEVIEW_CONFIG" in environment:
        found = tomllib.loads(config_file(environment).read_text())
        for part in key.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        if found != {}:
            return str(found).lower() if isinstance(found, bool) else str(found)
    return defaults()[key]


def config_file(environment):
    """Of the image, which has deploy/config as /etc/pageviews."""
    return REPOSITORY / "deploy" / "config" / Path(environment["PAGEVIEW_CONFIG"]).name


def fit_schemas(all_):
    """documents fit the schemas"""
    for document in all_.documents:
        kind, wrong = document["kind"], None
        try:
            for version in VERSIONS:
                if kind in CUSTOM:
                    jsonschema.validate(document, json.loads(CUSTOM[kind].read_text()))
                else:
                    kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError as error:
            wrong = error.message
        except jsonschema.ValidationError as error:
            wrong = f"{'.'.join(map(str, error.absolute_path)) or 'the document'}: {error.message}"
        all_.hold(wrong is None, document, wrong, f"see kubectl explain {kind.lower()}, of Kubernetes {version}")


def select_pods(all_):
    """selectors find their pods"""
    for workload in all_.of("Deployment", "StatefulSet"):
        own = labels(workload)
        mend = "give selector and pod template the same labels"
        all_.hold(matches(workload["spec"]["selector"], own), workload, "its selector misses its own pods", mend)
        for spread in template(workload)["spec"].get("topologySpreadConstraints", []):
            wrong = f"the spread over {spread['topologyKey']} misses its own pods"
            all_.hold(matches(spread["labelSelector"], own), workload, wrong, "correct its labelSelector")
    for document in all_.of("Service", "PodDisruptionBudget", "NetworkPolicy"):
        selector = document["spec"].get("podSelector", document["spec"].get("selector"))
        selector = {"matchLabels": selector} if document["kind"] == "Service" else selector
        found = [workload for workload in all_.workloads if matches(selector, labels(workload))]
        all_.hold(found, document, "its selector finds no pods", "name labels of a pod template in it")
        for rule in selector.get("matchExpressions", []):
            every = {labels(workload).get(rule["key"]) for workload in all_.workloads}
            unknown = [value for value in rule["values"] if value not in every]
            wrong = f"no pods are {', '.join(unknown)}"
            all_.hold(not unknown, document, wrong, f"correct {rule['key']} in its selector")
        for port in document["spec"].get("ports", []):
            named = {p["name"] for workload in found for c in containers(workload) for p in c.get("ports", [])}
            wrong = f"no container has a port named {port['targetPort']}"
            all_.hold(port["targetPort"] in named, document, wrong, "correct targetPort")


def refer_to_what_exists(all_):
    """references lead somewhere"""
    for workload in all_.workloads:
        account = template(workload)["spec"].get("serviceAccountName")
        wrong = f"there is no ServiceAccount {account}"
        all_.hold(not account or all_.named("ServiceAccount", account), workload, wrong, "add it")
    for workload in all_.of("StatefulSet"):
        name = workload["spec"]["serviceName"]
        all_.hold(all_.named("Service", name), workload, f"there is no Service {name}", "add it, headless")
    for ingress in all_.of("Ingress"):
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            backend = path["backend"]["service"]
            service = all_.named("Service", backend["name"]) or {"spec": {"ports": []}}
            there = backend["port"]["name"] in (port["name"] for port in service["spec"]["ports"])
            all_.hold(there, ingress, f"there is no Service {backend['name']} with that port", "correct the backend")


def scale_one_each(all_):
    """autoscalers have a target of their own"""
    seen = {}
    for scaler in all_.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        target = (target["kind"], target["name"])
        workload = all_.named(*target)
        all_.hold(workload, scaler, f"there is no {'/'.join(target)}", "correct scaleTargetRef")
        wrong = f"{seen.get(target)} scales {'/'.join(target)} too"
        all_.hold(target not in seen, scaler, wrong, "remove one of the two")
        seen[target] = f"{scaler['kind']}/{scaler['metadata']['name']}"
        least, most = (
            scaler["spec"].get(hpa, scaler["spec"].get(keda))
            for hpa, keda in (("minReplicas", "minReplicaCount"), ("maxReplicas", "maxReplicaCount"))
        )
        mend = "at least 1, and at most what the maximum says"
        all_.hold(1 <= least <= most, scaler, f"it wants {least} to {most} replicas", mend)
        if not workload:
            continue
        wrong = "replicas would undo what the autoscaler has set, at every apply"
        all_.hold("replicas" not in workload["spec"], workload, wrong, "leave spec.replicas out")
        if scaler["kind"] == "ScaledObject":
            threads = 1
            if target[1] == "aggregator":
                environment = all_.environment(workload, containers(workload)[0])
                threads = int(setting(environment, "pipeline.stream.threads"))
            wrong = f"{most} replicas of {threads} threads share {PARTITIONS} partitions"
            all_.hold(most * threads <= PARTITIONS, scaler, wrong, "lower maxReplicaCount or pipeline.stream.threads")


def restrict_containers(all_):
    """containers are bounded, watched and restricted"""
    for workload in all_.workloads:
        pod = template(workload)["spec"]
        context = pod.get("securityContext", {})
        all_.hold(context.get("runAsNonRoot"), workload, "it may run as root", "set runAsNonRoot: true in its pods")
        seccomp = context.get("seccompProfile", {}).get("type")
        wrong = "all system calls are open"
        all_.hold(seccomp == "RuntimeDefault", workload, wrong, "set seccompProfile: {type: RuntimeDefault}")
        token = pod.get("automountServiceAccountToken", True)
        all_.hold(not token, workload, "it has a token of the API", "set automountServiceAccountToken: false")
        for container in containers(workload):
            name = f"container {container['name']}"
            for bound in ("requests", "limits"):
                given = container.get("resources", {}).get(bound, {})
                for resource in ("cpu", "memory"):
                    wrong, mend = f"{name} has no {resource} in {bound}", f"set resources.{bound}.{resource}"
                    all_.hold(resource in given, workload, wrong, mend)
            own = container.get("securityContext", {})
            wrong = f"{name} can write to its root"
            all_.hold(own.get("readOnlyRootFilesystem"), workload, wrong, "set readOnlyRootFilesystem: true")
            wrong = f"{name} may gain privileges"
            escalates = own.get("allowPrivilegeEscalation", True)
            all_.hold(not escalates, workload, wrong, "set allowPrivilegeEscalation: false")
            dropped = own.get("capabilities", {}).get("drop", [])
            all_.hold(dropped == ["ALL"], workload, f"{name} keeps capabilities", "set capabilities: {drop: [ALL]}")
            if workload["kind"] == "Job":
                continue
            ports = [port["name"] for port in container.get("ports", [])]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container.get(probe, {})
                asked = asked.get("httpGet", asked.get("tcpSocket"))
                all_.hold(asked, workload, f"{name} has no {probe}", "add it")
                wrong = f"{probe} of {name} asks no port of its own"
                all_.hold(not asked or asked["port"] in ports, workload, wrong, f"name one of {', '.join(ports)}")


def suit_services(all_):
    """settings suit the services"""
    for workload in all_.workloads:
        for container in containers(workload):
            environment = all_.environment(workload, container)
            ours = [name for name in environment if name.startswith("PAGEVIEW_")]
            if not ours:
                continue
            if "PAGEVIEW_CONFIG" in environment:
                path = environment["PAGEVIEW_CONFIG"]
                there = Path(path).parent == Path("/etc/pageviews") and config_file(environment).is_file()
                mend = "name a file of deploy/config in PAGEVIEW_CONFIG"
                all_.hold(there, workload, f"the image has no {path}", mend)
                if not there:
                    continue
            for name in ours:
                key = name.removeprefix("PAGEVIEW_").lower().replace("__", ".")
                known = key in defaults() or key == "config" or key.startswith("kafka.properties.")
                all_.hold(known, workload, f"{name} is no setting", "correct it by docs/reference/config.md")
            if workload["kind"] == "Job":
                continue
            grace = setting(environment, "shutdown.grace")
            given = template(workload)["spec"].get("terminationGracePeriodSeconds", 30)
            wrong = f"terminationGracePeriodSeconds {given} is not above shutdown.grace {grace}"
            all_.hold(given > seconds(grace), workload, wrong, "raise it")
            limit = container.get("resources", {}).get("limits", {}).get("memory")
            if limit and container["name"] in MEMORY:
                key, times = MEMORY[container["name"]]
                own = setting(environment, key)
                wrong = f"the memory limit {limit} is not above {times} x {key} {own}"
                all_.hold(size(limit) > times * size(own), workload, wrong, "raise it")
            static = setting(environment, "kafka.static_membership") == "true" and container["name"] != "ingest-api"
            wrong = "kafka.static_membership is on, and there is no PAGEVIEW_PIPELINE__INSTANCE_ID"
            named = "PAGEVIEW_PIPELINE__INSTANCE_ID" in environment
            all_.hold(not static or named, workload, wrong, "set it, or kafka.static_membership to false")


def main():
    total = wrong = 0
    for name in ["base", *(f"overlays/{path.name}" for path in sorted((HERE / "overlays").iterdir()))]:
        rendered = Rendered(name)
        total += len(rendered.documents)
        checks = [fit_schemas, select_pods, refer_to_what_exists, scale_one_each, restrict_containers, suit_services]
        for check in checks:
            rendered.troubles, rendered.count = [], 0
            check(rendered)
            wrong += len(rendered.troubles)
            verdict = "WRONG" if rendered.troubles else "ok"
            what = check.__doc__ + (f" of Kubernetes {' and '.join(VERSIONS)}" if check is fit_schemas else "")
            print(f"{verdict:5} {name}: {what} ({rendered.count} checks)")
            # A trouble of a shared ConfigMap is every container's.
            for trouble in dict.fromkeys(rendered.troubles):
                print(f"      {trouble}")
    print(f"{total} documents, {wrong} mistakes" if wrong else f"{total} documents are valid")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
