"""Checks the rules and the dashboard against the services' metrics, the README, and each other.

Run by check.sh, after promtool, so the YAML is known to be right; what is read of it here are lines. Needs Python alone.
Exit code 1 if anything is wrong. `--queries` prints the dashboard's queries for promtool instead.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRATES = HERE.parents[1] / "crates"

# Where the services name their metrics.
SOURCES = [*CRATES.glob("*/src/metrics.rs"), *CRATES.glob("service/src/**/*.rs")]
# Metrics of others: Prometheus itself, the gateway.
FOREIGN = re.compile(r"up|ALERTS|haproxy_\w+")
# Words of PromQL that no bracket follows.
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "inf", "nan"}
COLUMNS = 24

troubles = []


def hold(holds, where, wrong):
    if not holds:
        troubles.append(f"{where}: {wrong}")


def names(expression):
    """The metrics that a PromQL expression asks for."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"(?<![\w:.$])[A-Za-z_:][\w:]*(?!\s*\(|[\w:])", bare)
    return {word for word in words if word.lower() not in WORDS}


def literals():
    """Every string in the services' sources that might be a metric's name."""
    text = "\n".join(path.read_text() for path in SOURCES)
    return set(re.findall(r'"([a-z][a-z0-9]*(?:_[a-z0-9]+)+)"', text))


def check_names(used, where, known):
    for name in sorted(used):
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        hold(
            FOREIGN.fullmatch(name) or name in known or base in known,
            where,
            f"no service has the metric {name} (crates/*/src/metrics.rs, crates/service)",
        )


class Rule:
    """One rule, by its lines: `key: value`, and `expr: |` with what is indented below it."""

    def __init__(self, text):
        self.kind, self.name = re.match(r"- (alert|record): (\S+)", text).groups()
        expr = re.search(r"^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.+)\n)", text, re.M)
        self.expr = expr[1] or expr[2]
        self.text = text

    def value(self, key):
        found = re.search(rf"\b{key}: *([^,}}\n]+|'[^'\n]*')", self.text)
        return found and found[1].strip()


def rules(text):
    text = re.sub(r"^ *#.*\n", "", text, flags=re.M)
    starts = [m.start() for m in re.finditer(r"- (?:alert|record): ", text)]
    return [Rule(text[start:end]) for start, end in zip(starts, [*starts[1:], len(text)])]


def check_rules(known):
    path = HERE / "rules" / "pageviews.yml"
    found = rules(path.read_text())
    recorded = {rule.name for rule in found if rule.kind == "record"}
    for rule in found:
        where = f"rules/pageviews.yml: {rule.name}"
        used = names(rule.expr)
        hold(used, where, "no metric found in its expression")
        check_names(used - recorded, where, known)
        # What a test shortens: nothing else in the expression may be a time.
        for span in re.findall(r"\[([^\]]*)\]", rule.expr):
            hold(re.fullmatch(r"\d+m", span), where, f"the range [{span}]: write whole minutes, [5m]")
        hold(not re.search(r"\boffset\b|@", rule.expr), where, "offset or @: a test cannot shorten it")
        if rule.kind == "record":
            others = [other for other in found if other is not rule and rule.name in names(other.expr)]
            hold(others, where, "is recorded and no rule uses it")
            continue
        wait = rule.value("for")
        hold(wait is None or re.fullmatch(r"\d+m", wait), where, f"for: {wait}: write whole minutes, 5m")
        hold(rule.value("severity") in ("page", "ticket"), where, "its label severity is neither page nor ticket")
        for key in ("service", "summary", "description"):
            hold(rule.value(key), where, f"it has no {key}")
        runbook = f"deploy/monitoring/README.md#{rule.name.lower()}"
        hold(rule.value("runbook") == runbook, where, f"its runbook is not {runbook}")
    return found


def check_tests(alerts, known, recorded):
    text = (HERE / "rules" / "pageviews.test.yml").read_text()
    series = set(re.findall(r"series: '([\w:]+)", text))
    check_names(series - recorded, "rules/pageviews.test.yml", known)
    fires = set(re.findall(r'labels: \'(?:ALERTS)?\{alertname="(\w+)"', text))
    for alert in sorted(alerts - fires):
        troubles.append(f"rules/pageviews.test.yml: no test in which {alert} fires")


def check_readme(alerts):
    text = (HERE / "README.md").read_text()
    after = text.partition("\n## Alerts\n")[2]
    sections = set(re.findall(r"^### (\w+)$", re.split(r"^## ", after, flags=re.M)[0], re.M))
    for alert in sorted(alerts - sections):
        troubles.append(f"README.md: no section '### {alert}' below '## Alerts'")
    for section in sorted(sections - alerts):
        troubles.append(f"README.md: the section {section} is of no alert in rules/pageviews.yml")


def check_dashboard(known):
    where = "grafana/pageviews.json"
    dashboard = json.loads((HERE / where).read_text())
    hold(isinstance(dashboard.get("schemaVersion"), int) and dashboard.get("uid"), where, "no schemaVersion or uid")
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    ids, taken, used = set(), {}, set()
    for panel in dashboard["panels"]:
        here = f"{where}: panel '{panel.get('title')}'"
        hold(panel["id"] not in ids, here, f"the id {panel['id']} is another panel's too")
        ids.add(panel["id"])
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        hold(w > 0 and h > 0 and x >= 0 and x + w <= COLUMNS, here, f"does not fit into {COLUMNS} columns")
        for cell in ((column, line) for column in range(x, x + w) for line in range(y, y + h)):
            other = taken.setdefault(cell, panel["title"])
            if other != panel["title"]:
                troubles.append(f"{here}: lies over '{other}'")
                break
        if panel["type"] == "row":
            continue
        hold(panel["datasource"]["uid"].strip("${}") in variables, here, "its datasource is no variable")
        hold(panel.get("description"), here, "it has no description")
        hold(panel["fieldConfig"]["defaults"].get("unit"), here, "it has no unit")
        hold(panel.get("targets"), here, "it has no query")
        references = [target["refId"] for target in panel.get("targets", [])]
        hold(len(references) == len(set(references)), here, "two queries have one refId")
        for target in panel.get("targets", []):
            hold(target.get("legendFormat"), here, f"query {target['refId']} has no legend")
            hold(names(target["expr"]), here, f"query {target['refId']} asks for nothing")
            check_names(names(target["expr"]), here, known)
            used |= names(target["expr"])
    titles = [panel["title"] for panel in dashboard["panels"]]
    hold(len(titles) == len(set(titles)), where, "two panels have one title")
    return len(ids), len(used)


def queries():
    """The dashboard's queries as a file of rules, for promtool: JSON is YAML."""
    dashboard = json.loads((HERE / "grafana" / "pageviews.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expr = target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1h")
            found.append({"record": f"panel_{panel['id']}_{target['refId']}", "expr": expr})
    return {"groups": [{"name": "dashboard", "rules": found}]}


def main():
    if sys.argv[1:] == ["--queries"]:
        print(json.dumps(queries(), indent=1))
        return
    known = literals()
    found = check_rules(known)
    alerts = {rule.name for rule in found if rule.kind == "alert"}
    check_tests(alerts, known, {rule.name for rule in found} - alerts)
    check_readme(alerts)
    panels, metrics = check_dashboard(known)
    for trouble in dict.fromkeys(troubles):
        print(f"deploy/monitoring/{trouble}", file=sys.stderr)
    if troubles:
        sys.exit(1)
    print(f"monitoring: {len(alerts)} alerts, {panels} panels over {metrics} metrics: nothing wrong")


main()
