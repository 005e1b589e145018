"""Takes the screenshots of docs/images again: a real Kafka and Postgres, a day of `scene`, and a Chromium.

Run `PYTHONPATH=.:tests .venv/bin/python tests/browser/screenshots.py`. Pillow, if installed, makes the files small.
The font of the pages is the system's: with Debian's package `fonts-inter` they look as the pictures of the repository.
"""

import argparse
import importlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from browsing import TOKEN, dashboard, launched, visiting
from cluster import Cluster
from commands import run_projector
from playwright.sync_api import sync_playwright
from scene import Scene, scene
from topics import create_topic

from testbed.servers.start import start_kafka, start_postgres

IMAGES = Path(__file__).parents[2] / "docs" / "images"


class Shot(NamedTuple):
    """A picture of a page. `height` 0 is that of the whole page."""

    name: str
    path: str
    height: int = 768
    scheme: str = "light"
    width: int = 1366


def shots(played: Scene) -> list[Shot]:
    busy, wedged = played.agents[0], played.agents[3]
    return [
        Shot("overview", "/"),
        Shot("overview-dark", "/", scheme="dark"),
        Shot("overview-narrow", "/", 900, width=390),
        Shot("silent", "/delegations?only=silent&sort=silence", 620),
        Shot("deadlines", "/delegations?sort=deadline", 620),
        Shot("pair", f"/delegations?status=any&caller={busy}&callee={wedged}", 520),
        Shot("callees", "/callees", 0),
        Shot("callers", "/callees?role=caller", 0),
        Shot("failures", "/failures", 0),
        Shot("delegation", f"/delegation?id={played.late}", 0),
        Shot("parked", f"/delegation?id={played.parked}", 0),
        Shot("plumbing", "/plumbing", 0),
    ]


@contextmanager
def playing(folder: Path) -> Iterator[tuple[Cluster, Scene]]:
    """The scene, projected, swept, pushed and verified."""
    for name in ("postgres", "kafka", "cluster"):
        folder.joinpath(name).mkdir()
    with ExitStack() as stack:
        postgres = stack.enter_context(start_postgres(folder / "postgres"))
        kafka = stack.enter_context(start_kafka(folder / "kafka")).bootstrap_servers
        cluster = Cluster(postgres.url, kafka, create_topic(kafka, name="activity-log"), folder / "cluster")
        stack.callback(cluster.end)
        settings = {
            "database_url": postgres.url,
            "bootstrap_servers": kafka,
            "result_push": "topic",
            "push_topic": create_topic(kafka, name="delegation-results"),
        }
        run_projector("migrate", "up", **settings)
        with psycopg.connect(postgres.url, autocommit=True) as conn:
            conn.execute("INSERT INTO projector.push VALUES ('activity-log', now() - interval '25 hours')")
            played = scene(datetime.now(UTC))
            cluster.publish(played.records)
            cluster.start_member(group_id="delegations-projector", result_push="topic", push_topic="delegation-results")
            cluster.wait_until_caught_up()
            for command in (["verify"], ["push", "run", "--once"]):
                run_projector(*command, **settings)
            conn.execute(
                "INSERT INTO projector.passes (kind, started_at, result) VALUES ('sweep', now() - interval '0.2 s',"
                """ '{"candidates": 14, "verdicts": 1, "spared": 13, "held": 0, "skipped": null}')"""
            )
            conn.execute("ANALYZE")
        yield cluster, played


def smaller(file: Path) -> None:
    """Reduce the colours to a palette."""
    with suppress(ImportError):
        image: Any = importlib.import_module("PIL.Image")
        image.open(file).convert("RGB").quantize(256, dither=0).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES)
    parser.add_argument("--keep", action="store_true", help="leave the dashboard running until Ctrl-C")
    given = parser.parse_args()
    given.into.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name, ExitStack() as stack:
        cluster, played = stack.enter_context(playing(Path(name)))
        urls = {"database_url": cluster.database_url, "bootstrap_servers": cluster.bootstrap_servers}
        running = stack.enter_context(dashboard(Path(name), urls))
        browser = launched(stack.enter_context(sync_playwright()).chromium)
        time.sleep(6)  # until the state of the topic was read
        for shot in shots(played):
            size = {"width": shot.width, "height": shot.height or 200}
            with visiting(browser, running.address, viewport=size, color_scheme=shot.scheme) as visit:
                file = given.into / f"{shot.name}.png"
                visit.to(shot.path).screenshot(path=file, full_page=not shot.height)
                smaller(file)
                print(f"{file.name}: {file.stat().st_size // 1024} KB", flush=True)
        browser.close()
        if given.keep:
            print(f"{running.address} with the token {TOKEN}", flush=True)
            with suppress(KeyboardInterrupt):
                time.sleep(86_400)


if __name__ == "__main__":
    main()
