"""`projector run`: one member of the consumer group, or several of them on one machine."""

from projector.cli.exit_codes import DONE
from projector.process.barrier import Barrier
from projector.settings import Settings
from projector.worker.loop import Worker
from projector.worker.supervisor import member_file, run_members


def run(settings: Settings, members: int) -> int:
    """Run one member or several until a signal stops them."""
    if members == 1:
        return _run_member(settings)

    def member(number: int, barrier: Barrier) -> int:
        return _run_member(_of_member(settings, number), barrier)

    return run_members(members, member, settings.health_file)


def _run_member(settings: Settings, barrier: Barrier | None = None) -> int:
    worker = Worker(settings)
    if barrier:
        worker.consumer.before_first_join = lambda: barrier.wait(lambda: worker.shutdown.requested)
    worker.run()
    return DONE


def _of_member(settings: Settings, number: int) -> Settings:
    """The settings with a health file and a static member name that no other member uses."""
    own: dict[str, object] = {}
    if settings.health_file:
        own["health_file"] = member_file(settings.health_file, number)
    if settings.group_instance_id:
        own["group_instance_id"] = f"{settings.group_instance_id}-{number}"
    return settings.model_copy(update=own)
