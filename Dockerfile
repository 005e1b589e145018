# The projector alone: no compiler, no pip of its own, nobody's root. docs/deploying.md tells how to run it.
# The environment is built where it will stand, since its scripts name their interpreter by its full path.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/projector
# The dependencies are a layer of their own: a changed line of ours does not fetch them again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > requirements.txt \
    && pip --python /opt/projector install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY README.md ./
COPY projector projector
COPY schema schema
# pip below 25.3 takes what builds the wheel from PIP_CONSTRAINT too, a later one from the other.
RUN PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && pip --python /opt/projector install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.12-slim
RUN groupadd --gid 10001 projector \
    && useradd --uid 10001 --gid projector --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin projector
COPY --from=build /opt/projector /opt/projector
# /dev/shm is in memory and writable in every container, so that a read-only root needs no other mount. The bytecode is
# in the image already.
ENV PATH=/opt/projector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROJECTOR_HEALTH_FILE=/dev/shm/projector-health
# By number: an orchestrator that insists on "not root" cannot look up a name.
USER 10001:10001
WORKDIR /
# No shell in between: SIGTERM reaches the projector itself, which drains, leaves the group and exits with 0.
ENTRYPOINT ["projector"]
CMD ["run"]
# A Python each time, half a second of a core, so not too often. A group that lost a member takes a session time-out to
# share out anew, hence the start period.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["projector", "health"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="delegations-projector" \
      org.opencontainers.image.description="Projects activity events from Kafka into one Postgres row a delegation." \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
