"""The reference of the APIs and resources, from the contracts of api/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
# Contract, and its page's title.
CONTRACTS = {
    "autoscaler": "API of the autoscaler-controller",
    "loadbalancer": "API of the load-balancer",
    "sidecar": "API of the sidecar",
    "peers": "What load balancers say to each other",
}
# Resources have pages of their own: the schemas that can be reached from these.
RESOURCES = {"custom-autoscaler.md": ("CustomAutoscaler", "CustomAutoscaler"), "claim-policy.md": ("ClaimPolicy", "ClaimPolicy")}
LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
}


def read(file: Path) -> Schema:
    """A contract; by the parser in C where there is one, which takes a tenth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), Loader=loader)


def target(name: str) -> str:
    return f"schema-{name.lower()}"


def inline(text: str) -> str:
    """A description in one line of a table."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    plain = [p if p.startswith("`") else p.replace("<", "&lt;") for p in parts]
    return "".join(plain).replace("|", "\\|")


class Contracts:
    """The contracts of a folder, read together: a schema has one name, wherever it stands."""

    def __init__(self, folder: Path) -> None:
        self.files = {name: read(folder / f"{name}.yaml") for name in (*CONTRACTS, "common")}

    def follow(self, file: str, node: Any) -> tuple[str, Any]:
        """What a reference leads to, and in which file it stands; a node that is none is itself."""
        while isinstance(node, dict) and "$ref" in node:
            path, _, pointer = node["$ref"].partition("#/")
            file = path.removesuffix(".yaml") or file
            node = self.files[file]
            for step in pointer.split("/"):
                node = node[step.replace("~1", "/").replace("~0", "~")]
        return file, node

    def named(self, node: Any) -> str:
        """The name of the schema that a reference names, or ""."""
        reference = node.get("$ref", "") if isinstance(node, dict) else ""
        return reference.rpartition("/")[2] if "/schemas/" in reference else ""

    def type(self, file: str, node: Schema) -> str:
        """A type in words, with links to those that have a name."""
        if name := self.named(node):
            return f"[{name}](#{target(name)})"
        if len(node.get("allOf", [])) == 1:
            return self.type(file, node["allOf"][0])
        kind = node.get("type", "any")
        if kind == "array":
            return "list of " + self.type(file, node.get("items", {}))
        if kind == "object" and isinstance(node.get("additionalProperties"), dict):
            return "map of " + self.type(file, node["additionalProperties"])
        return f"{kind} ({node['format']})" if node.get("format") in ("date-time", "double") else kind

    def allowed(self, file: str, node: Schema) -> str:
        """What values may be: choices, limits, the default."""
        _, full = self.follow(file, node)
        said = []
        if "enum" in full:
            said.append(", ".join(f"`{v}`" for v in full["enum"]))
        said += [words.format(full[key]) for key, words in LIMITS.items() if key in full]
        if "pattern" in full:
            said.append(f"pattern `{full['pattern']}`".replace("|", "\\|"))
        default = node.get("default", full.get("default"))
        if default is not None:
            said.append(f"default `{str(default).lower() if isinstance(default, bool) else default}`")
        return "; ".join(said)

    def reached(self, file: str, node: Any, seen: dict[str, tuple[str, Schema]]) -> None:
        """Collects the named schemas below a node, in the order in which they are met."""
        if isinstance(node, list):
            for item in node:
                self.reached(file, item, seen)
        if not isinstance(node, dict):
            return
        name = self.named(node)
        if name and name in seen:
            return
        if "$ref" in node:
            file, full = self.follow(file, node)
            if name:
                seen[name] = (file, full)
            self.reached(file, full, seen)
            return
        for key, value in node.items():
            if key not in ("example", "examples", "enum", "default"):
                self.reached(file, value, seen)

    def schema(self, name: str, file: str, full: Schema) -> Iterator[str]:
        yield f"({target(name)})=\n### {name}\n"
        if "description" in full:
            yield full["description"].strip() + "\n"
        properties = full.get("properties", {})
        if not properties:
            yield f"{self.type(file, full)}" + (f": {limits}" if (limits := self.allowed(file, full)) else "") + "\n"
        else:
            required = full.get("required", [])
            yield "| field | type | allowed | what it is |\n|---|---|---|---|"
            for key, node in properties.items():
                _, meant = self.follow(file, node)
                words = inline(node.get("description") or meant.get("description", ""))
                must = " (required)" if key in required else ""
                yield f"| `{key}`{must} | {self.type(file, node)} | {self.allowed(file, node)} | {words} |"
            yield ""
        rules = [rule["message"] for rule in full.get("x-kubernetes-validations", []) if "message" in rule]
        if rules:
            yield "Besides:\n" + "\n".join(f"- {inline(rule)}" for rule in rules) + "\n"

    def operation(self, file: str, path: str, method: str, shared: list[Any], operation: Schema) -> Iterator[str]:
        yield f"### {method.upper()} {path}\n".replace("{", "\\{")
        yield f"**{operation['summary']}** (`{operation['operationId']}`)\n"
        if "description" in operation:
            yield operation["description"].strip() + "\n"
        parameters = [self.follow(file, p)[1] for p in (*shared, *operation.get("parameters", []))]
        if parameters:
            yield "| parameter | in | allowed | what it is |\n|---|---|---|---|"
            for p in parameters:
                must = " (required)" if p.get("required") and p["in"] != "path" else ""
                limits = self.allowed(file, p["schema"])
                yield f"| `{p['name']}`{must} | {p['in']} | {limits} | {inline(p.get('description', ''))} |"
            yield ""
        if "requestBody" in operation:
            _, body = self.follow(file, operation["requestBody"])
            kinds = [f"`{media}`: {self.type(file, content.get('schema', {}))}" for media, content in body["content"].items()]
            yield "Body: " + "; ".join(kinds) + "\n"
        yield "| answer | what it says | body |\n|---|---|---|"
        for code, response in operation["responses"].items():
            where, full = self.follow(file, response)
            bodies = [self.type(where, content["schema"]) for content in full.get("content", {}).values() if "schema" in content]
            yield f"| {code} | {inline(full.get('description', ''))} | {', '.join(dict.fromkeys(bodies))} |"
        yield ""

    def api(self, file: str, title: str, apart: set[str]) -> str:
        """The page of one contract; the schemas of `apart` stand on other pages."""
        document = self.files[file]
        out = [f"# {title}\n", document["info"].get("description", "").strip() + "\n"]
        for tag in document.get("tags", []):
            out.append(f"## {tag['name']}\n\n{tag.get('description', '')}\n")
            for path, item in document["paths"].items():
                for method in METHODS:
                    if method in item and tag["name"] in item[method].get("tags", []):
                        out += self.operation(file, path, method, item.get("parameters", []), item[method])
        seen: dict[str, tuple[str, Schema]] = {}
        self.reached(file, document["paths"], seen)
        own = {name: found for name, found in seen.items() if name not in apart}
        if own:
            out.append("## Schemas\n")
        for name, (where, full) in sorted(own.items()):
            out += self.schema(name, where, full)
            apart.add(name)
        return "\n".join(out)


def pages(folder: Path) -> dict[str, str]:
    """The pages' names and texts."""
    contracts = Contracts(folder)
    made: dict[str, str] = {}
    apart: set[str] = set()
    for page, (name, title) in RESOURCES.items():
        seen: dict[str, tuple[str, Schema]] = {}
        contracts.reached("autoscaler", {"$ref": f"#/components/schemas/{name}"}, seen)
        out = [f"# {title}\n", f"The fields of a `{name}`, as `api/autoscaler.yaml` has them.\n", "## Fields\n"]
        for each, (where, full) in seen.items():
            if each not in apart:
                out += contracts.schema(each, where, full)
        apart |= set(seen)
        made[page] = "\n".join(out)
    for file, title in CONTRACTS.items():
        made[f"api-{file}.md"] = contracts.api(file, title, apart)
    return made
