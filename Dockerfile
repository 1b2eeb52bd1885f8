# fileloft-fast, an image for each backend: make docker-build-fs, -s3, -gcs, -azure or -all.
# As of fileloft, docker build --build-arg BACKEND=s3 makes one too.
# `make test-images` runs these steps without a container engine: see tests/images/.
ARG BACKEND=fs

FROM python:3.13-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libssl-dev libxxhash-dev \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/fileloft-fast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY ext ext
COPY fileloft_fast fileloft_fast
RUN python -m venv /opt/fileloft-fast \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && pip install --no-cache-dir --no-compile "$(echo /wheels/*.whl)[redis,hooks,jwt]"
COPY deploy/docker/finish /usr/local/bin/

FROM build AS build-fs
RUN finish /opt/fileloft-fast

FROM build AS build-s3
RUN pip install --no-cache-dir --no-compile "$(echo /wheels/*.whl)[s3]" \
    && finish /opt/fileloft-fast

FROM build AS build-gcs
RUN pip install --no-cache-dir --no-compile "$(echo /wheels/*.whl)[gcs]" \
    && finish /opt/fileloft-fast

FROM build AS build-azure
RUN pip install --no-cache-dir --no-compile "$(echo /wheels/*.whl)[azure]" \
    && finish /opt/fileloft-fast

# The same base, so that the environment finds its interpreter; libcrypto comes with python itself.
FROM python:3.13-slim-trixie AS base
RUN groupadd --gid 10001 fileloft \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin fileloft \
    && install -d -o fileloft -g fileloft -m 0750 /var/lib/fileloft
# The base image comes without its library's bytecode: 10 MB that save each start 0.7 s of CPU.
RUN python -m compileall -q --invalidation-mode unchecked-hash \
    -x '/(site-packages|dist-packages|ensurepip|idlelib|tkinter|turtledemo)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ENV PATH=/opt/fileloft-fast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 10001:10001
VOLUME /var/lib/fileloft
EXPOSE 8080
# The server is its own PID 1: it handles SIGTERM and reaps its workers, so there is no tini.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["fileloft-fast", "health"]
ENTRYPOINT ["fileloft-fast"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="fileloft-fast" \
    org.opencontainers.image.description="A drop-in tus upload endpoint at native speed" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

FROM base AS fs
COPY --from=build-fs /opt/fileloft-fast /opt/fileloft-fast
ENV FILELOFT_BACKEND=fs

FROM base AS s3
COPY --from=build-s3 /opt/fileloft-fast /opt/fileloft-fast
ENV FILELOFT_BACKEND=s3

FROM base AS gcs
COPY --from=build-gcs /opt/fileloft-fast /opt/fileloft-fast
ENV FILELOFT_BACKEND=gcs

FROM base AS azure
COPY --from=build-azure /opt/fileloft-fast /opt/fileloft-fast
ENV FILELOFT_BACKEND=azure

FROM ${BACKEND}
