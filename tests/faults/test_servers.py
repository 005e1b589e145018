"""Postgres and Kafka that go away under load, and logs that lose what was not projected yet."""

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from scene import Scene, until
from topics import create_topic

from projector import migrations
from projector.demo.judge import judge
from projector.demo.parts import start_postgres
from projector.demo.platform import Mix


def test_postgres_that_is_shut_down_at_once_and_started_again_loses_nothing(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        scene.database_url = server.url
        scene.member()
        with scene.playing(Mix(delegations=600), per_second=800):
            scene.projects_more_than(300)
            server.restart("immediate")
            scene.projects_more_than(1500)
            server.restart("fast")
        scene.caught_up()
        scene.view_equals_log()
        assert _dead_letters(scene) == _dead_letters_of(scene)
        scene.end()


def test_a_session_that_is_ended_in_mid_batch_is_opened_anew(scene: Scene) -> None:
    member = scene.member(batch_records="50")
    with scene.playing(Mix(delegations=600), per_second=800), psycopg.connect(scene.database_url, autocommit=True) as c:
        for at in (100, 600, 1200):
            scene.projects_more_than(at)
            c.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'projector'"
            )
    scene.caught_up()
    scene.view_equals_log()
    member.says("Postgres is back", times=3)


def test_retention_that_passed_the_position_stops_the_projector_with_the_remedy(scene: Scene) -> None:
    scene.play(Mix(delegations=100))
    scene.member()
    scene.caught_up()
    scene.end()
    scene.play(Mix(delegations=100, seed=8))
    _delete_records(scene, {partition: end - 5 for partition, end in scene.ends().items()})
    stopped = scene.member()
    assert stopped.exit_code() == 4
    assert "gone for sure" in stopped.text()
    assert "projector rebuild --from activity-logs" in stopped.text()
    before = scene.positions()
    assert scene.member().exit_code() == 4
    assert scene.positions() == before


def test_a_topic_made_anew_under_the_old_name_stops_the_projector(scene: Scene) -> None:
    scene.play(Mix(delegations=50))
    scene.member()
    scene.caught_up()
    scene.end()
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_topics([scene.topic])
    until(lambda: scene.topic not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(scene.bootstrap_servers, name=scene.topic)
    scene.play(Mix(delegations=200))  # longer than before: offsets alone tell nothing
    stopped = scene.member()
    assert stopped.exit_code() == 4
    assert "made anew" in stopped.text()


def test_a_partition_added_under_load_is_read_from_its_start(scene: Scene) -> None:
    scene.member(metadata_max_age_ms="1000").says("partition claimed", times=3)
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.create_partitions({scene.topic: 5})
    admin.close()
    until(lambda: _partitions(scene) == 5, "five partitions")
    scene.play(Mix(delegations=200))
    scene.caught_up()
    assert scene.positions().keys() == {0, 1, 2, 3, 4}
    scene.view_equals_log()


def test_an_aborted_transaction_at_the_end_of_the_log_leaves_no_lag(scene: Scene) -> None:
    scene.play(Mix(delegations=30))
    scene.member()
    scene.caught_up()
    producer = KafkaProducer(
        bootstrap_servers=scene.bootstrap_servers, transactional_id=f"aborting-{scene.topic}", acks="all"
    )
    producer.init_transactions()
    producer.begin_transaction()
    for partition in range(3):
        producer.send(scene.topic, b"never to be read", partition=partition)
    producer.flush()
    producer.abort_transaction()
    producer.close()
    ends = {partition: end + 2 for partition, end in scene.ends().items()}  # the record, and the marker of the abort
    until(lambda: scene.positions() == ends, f"positions at {ends}")
    scene.view_equals_log()
    assert _dead_letters(scene) == _dead_letters_of(scene)


def _dead_letters(scene: Scene) -> set[tuple[int, int]]:
    with psycopg.connect(scene.database_url) as conn:
        return set(conn.execute('SELECT partition, "offset" FROM projector.dead_letters').fetchall())


def _dead_letters_of(scene: Scene) -> set[tuple[int, int]]:
    return {(letter.partition, letter.offset) for letter in judge(scene.acknowledged).dead_letters}


def _delete_records(scene: Scene, before: dict[int, int]) -> None:
    """What retention does, at once."""
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_records({TopicPartition(scene.topic, partition): offset for partition, offset in before.items()})
    admin.close()


def _partitions(scene: Scene) -> int:
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    try:
        return len(admin.describe_topics([scene.topic])[0]["partitions"])
    finally:
        admin.close()
