"""Reads what a process serves at PROJECTOR_HTTP_ADDRESS."""

import http.client
import socket
from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


class Answer(NamedTuple):
    """The status and the text of an answer."""

    status: int
    text: str
    headers: Mapping[str, str]


def get(address: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Make one request. Raises OSError where nothing listens."""
    host, _, port = address.rpartition(":")
    client = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=30)
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return Answer(answer.status, answer.read().decode(), dict(answer.getheaders()))
    finally:
        client.close()


def answer_of(address: str, path: str) -> Answer | None:
    """As `get`, or None where nothing listens yet."""
    try:
        return get(address, path)
    except (OSError, http.client.HTTPException):
        return None


class Scrape:
    """The samples of one scrape, by the names of their series, without the prefix."""

    def __init__(self, address: str) -> None:
        self.text = get(address, "/metrics").text
        self.samples = [sample for family in text_string_to_metric_families(self.text) for sample in family.samples]

    def by(self, name: str, label: str = "") -> dict[str, float]:
        """Return the value of a label → the number; without a label, of the only series, the key is empty."""
        found = [each for each in self.samples if each.name == f"projector_{name}"]
        keys = [each.labels[label] if label else "" for each in found]
        assert len(set(keys)) == len(keys), f"{name} has several series per {label}"
        return {key: each.value for key, each in zip(keys, found, strict=True)}

    def value(self, name: str, **labels: str) -> float | None:
        """Return the number of a series, or None."""
        wanted = (f"projector_{name}", labels)
        return next((each.value for each in self.samples if (each.name, each.labels) == wanted), None)

    def state(self, process: str) -> str:
        """Return the state of a process."""
        rows = [each for each in self.samples if each.name == "projector_state" and each.labels["process"] == process]
        [state] = [each.labels["state"] for each in rows if each.value == 1]
        return str(state)

    def counters(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return the numbers that never go down."""
        ends = ("_total", "_bucket", "_count", "_sum")
        return {
            (each.name, tuple(sorted(each.labels.items()))): each.value
            for each in self.samples
            if each.name.endswith(ends)
        }


def free_address() -> str:
    """Return an address at which nothing listens now."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"
