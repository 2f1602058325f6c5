"""Application settings as users set them: by the SDK's client, by kubectl, by the curl lines of the README.

Each way does what the use cases say: it lists the namespace, changes the object that names the
Deployment or creates one where there is none, and the test reads it back. What is set is what the
README shows, so that it is written once.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from .cluster import Object
from .kubectl import Kubectl
from .nemesis import Nemesis
from .readme import Readme
from .waiting import PATIENCE

SAMPLE = Path(__file__).resolve().parents[1] / "apps" / "fibonacci" / "k8s.yaml"
DEPLOYMENT, NAME = "fibonacci-deployment", "fibonacci"  # as the README has them
CREATE, RULE, POLICY, SLEEP = "No: create it.", "Set a scaling rule.", "Set the load balancing policy.", "Set when it sleeps."


@dataclass
class Place:
    """Where settings are set, and by whom: a namespace with the example application in it."""

    nemesis: Nemesis
    namespace: str
    token: str
    program: Path  # settings-client
    readme: Readme
    authority: Path  # by which the controller is verified

    @property
    def variables(self) -> dict[str, str]:
        """What the README has a person set."""
        return {
            "CONTROLLER": self.nemesis.controller_url,
            "NAMESPACE": self.namespace,
            "TOKEN": self.token,
            "CURL_CA_BUNDLE": str(self.authority),
        }

    def plant(self) -> None:
        """Makes the example application, without its CustomAutoscaler."""
        for found in yaml.safe_load_all(SAMPLE.read_text()):
            if found["kind"] != "CustomAutoscaler":
                found["metadata"]["namespace"] = self.namespace
                self.nemesis.cluster.apply(found)

    def read(self, name: str = "") -> Object:
        """The list of the namespace, or one object, as the controller's API shows it."""
        url = self.nemesis.controller_url + self.nemesis.cluster.path("CustomAutoscaler", name, self.namespace)
        answer = self.nemesis.http.get(url, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wanted(self, what: str) -> Object:
        return self.readme.spec(what)


Way = Callable[[Place, str], None]


def by_client(how: str) -> Way:
    """The program settings-client, which is written with the SDK; it finds out by itself what to do."""

    def way(place: Place, what: str) -> None:
        flags = ["-server", place.nemesis.controller_url, "-namespace", place.namespace, "-deployment", DEPLOYMENT, "-by", how]
        done = subprocess.run(
            [place.program, *flags],
            input=json.dumps(place.wanted(what)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={"TOKEN": place.token, "SSL_CERT_FILE": str(place.authority)},
        )
        assert done.returncode == 0, done.stderr
        expected = "created" if what == CREATE else {"put": "replaced", "patch": "patched"}[how]
        assert json.loads(done.stdout)["did"] == expected, done.stdout

    return way


def by_kubectl(place: Place, what: str) -> None:
    """What a person types. kubectl has the rights of the kubeconfig's user, as it has for that person."""
    kubectl: Kubectl = place.nemesis.cluster.kubectl
    there = json.loads(kubectl("get", "ca", "-n", place.namespace, "-o", "json"))["items"]
    names = [o["metadata"]["name"] for o in there if DEPLOYMENT in [t["name"] for t in o["spec"]["targetDeployments"]]]
    if names:
        kubectl("patch", "ca", names[0], "-n", place.namespace, "--type=merge", "-p", json.dumps({"spec": place.wanted(what)}))
        return
    created = {
        "apiVersion": "autoscaler-group.autoscaler/v1alpha1",
        "kind": "CustomAutoscaler",
        "metadata": {"name": NAME, "namespace": place.namespace},
        "spec": place.wanted(what),
    }
    kubectl("create", "-f", "-", stdin=json.dumps(created))


def by_curl(place: Place, what: str) -> None:
    """The README's lines."""
    variables = place.variables
    there = place.readme.run("Is there one for the Deployment?", **variables)["items"]
    assert bool(there) == (what != CREATE), there
    answered = place.readme.run(what, **variables)
    assert place.readme.run("Read it back.", **variables)["spec"] == answered["spec"]


WAYS: dict[str, Way] = {
    "SDK, PUT": by_client("put"),
    "SDK, PATCH": by_client("patch"),
    "kubectl": by_kubectl,
    "curl": by_curl,
}


def change(place: Place, way: str, what: str) -> tuple[Object, Object]:
    """Creates the object, changes it, and returns it as it was and as it is, read by its name."""
    WAYS[way](place, CREATE)
    (before,) = place.read()["items"]
    assert [t["name"] for t in before["spec"]["targetDeployments"]] == [DEPLOYMENT], before
    WAYS[way](place, what)
    (found,) = place.read()["items"]
    after = place.read(found["metadata"]["name"])
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "the object was changed, not made anew"
    assert after["metadata"]["generation"] == 2, after["metadata"]
    # What was not named stays as it was.
    assert {**before["spec"], **place.wanted(what)} == after["spec"], after["spec"]
    return before["spec"], after["spec"]
