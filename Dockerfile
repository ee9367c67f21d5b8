# The gateway's image: wheels are built once, installed without a package index, and copied into a
# base that has nothing else. docs/container.md says how it is run.

# Pinned by its digest; to move on, look a new one up and give it: --build-arg BASE=…@sha256:…
ARG BASE=docker.io/library/python:3.13-slim-bookworm@sha256:01f42367a0a94ad4bc17111776fd66e3500c1d87c15bbd6055b7371d39c124fb

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python3 -m venv /build/tools
WORKDIR /build/source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY gateway gateway
RUN /build/tools/bin/pip wheel --no-cache-dir --wheel-dir /build/wheels .
# Without pip in it: nothing can be installed into a container that runs.
RUN python3 -m venv --without-pip /opt/gateway \
    && /build/tools/bin/pip --python /opt/gateway/bin/python install \
        --no-cache-dir --no-index --find-links /build/wheels --compile gateway

FROM ${BASE}
ARG GATEWAY_VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gateway" \
      org.opencontainers.image.description="An edge gateway for Django services" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${GATEWAY_VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/gateway /opt/gateway
# What is compiled was compiled at the build. Without a directory at /run/gateway that can be
# written, `gateway reload` has no socket, and SIGHUP does the same.
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_CONFIG=/etc/gateway/config.yaml \
    GATEWAY_CONTROL_SOCKET=/run/gateway/control
WORKDIR /etc/gateway
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["gateway", "healthcheck"]
ENTRYPOINT ["gateway"]
# Inside a container the loopback would be of no use; a command of your own replaces this.
CMD ["run", "--host", "0.0.0.0"]
