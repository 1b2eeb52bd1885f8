# fileloft-fast, an image for each backend: make docker-build-fs, -s3, -gcs, -azure or -all.
# As of fileloft, docker build --build-arg BACKEND=s3 makes one too.
ARG BACKEND=fs

FROM python:3.13-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libssl-dev libxxhash-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY ext ext
COPY fileloft_fast fileloft_fast
RUN python -m venv /opt/fileloft-fast \
    && /opt/fileloft-fast/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/fileloft-fast/bin/pip install --no-cache-dir /wheels/*.whl

FROM build AS build-fs
RUN /opt/fileloft-fast/bin/pip uninstall -y pip

FROM build AS build-s3
RUN /opt/fileloft-fast/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[s3,redis]" \
    && /opt/fileloft-fast/bin/pip uninstall -y pip

FROM build AS build-gcs
RUN /opt/fileloft-fast/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[gcs,redis]" \
    && /opt/fileloft-fast/bin/pip uninstall -y pip

FROM build AS build-azure
RUN /opt/fileloft-fast/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[azure,redis]" \
    && /opt/fileloft-fast/bin/pip uninstall -y pip

# the same base, so that the environment finds its interpreter; libcrypto comes with python itself
FROM python:3.13-slim-trixie AS base
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin fileloft \
    && install -d -o fileloft -g fileloft -m 0750 /var/lib/fileloft
ENV PATH=/opt/fileloft-fast/bin:$PATH \
    PYTHONUNBUFFERED=1
USER fileloft
VOLUME /var/lib/fileloft
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["fileloft-fast"]

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
