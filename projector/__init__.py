"""The projector: activity events on Kafka become rows of `delegations` in Postgres."""

TYPE_CHECKING = False  # as in typing, whose import would be most of this one
if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Read `__version__` from the installed metadata when it is asked for: the import is slow."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("delegations-projector")
