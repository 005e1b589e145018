# The image holds the projector with its dashboard alone: no compiler, no pip, no root user. docs/deploying.md explains how to run it.
# The virtual environment is built at its final path, because its scripts contain the full path of the interpreter.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/projector
# The dependencies have their own layer: a change to the projector does not download them again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['dashboard'], sep='\n')" > requirements.txt \
    && pip --python /opt/projector install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY projector projector
COPY schema schema
COPY deploy/postgres deploy/postgres
# The two variables pin the packages that build the wheel: pip before 25.3 reads the first, later versions the second.
RUN PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && pip --python /opt/projector install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.12-slim
RUN groupadd --gid 10001 projector \
    && useradd --uid 10001 --gid projector --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin projector
COPY --from=build /opt/projector /opt/projector
# /dev/shm is in memory and writable in every container, so a read-only root file system needs no other mount.
# The bytecode is already in the image.
ENV PATH=/opt/projector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROJECTOR_HEALTH_FILE=/dev/shm/projector-health
# By number: an orchestrator that requires a non-root user cannot look up a name.
USER 10001:10001
WORKDIR /
# No shell in between: SIGTERM reaches the projector, which finishes its batch, leaves the group and exits with 0.
ENTRYPOINT ["projector"]
CMD ["run"]
# Each check starts a Python process, which takes half a second of one core. Hence the interval of 15 seconds. On a machine
# with ten times more work than cores, that is more than 5 seconds. Hence the timeout.
# After a member is lost, the group needs a session timeout to reassign its partitions. Hence the start period.
# The dashboard writes no report: use its /readyz instead, as compose.yaml does.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["projector", "health"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="delegations-projector" \
      org.opencontainers.image.description="Projects activity events from Kafka into one Postgres row per delegation." \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
