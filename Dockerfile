# fileloft-fast with the fs backend: make docker-build-fs
FROM python:3.13-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libssl-dev libxxhash-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY ext ext
COPY fileloft_fast fileloft_fast
RUN python -m venv /opt/fileloft-fast \
    && /opt/fileloft-fast/bin/pip install --no-cache-dir . \
    && /opt/fileloft-fast/bin/pip uninstall -y pip

# the same base, so that the environment finds its interpreter; libcrypto comes with python itself
FROM python:3.13-slim-trixie AS fs
COPY --from=build /opt/fileloft-fast /opt/fileloft-fast
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin fileloft \
    && install -d -o fileloft -g fileloft -m 0750 /var/lib/fileloft
ENV PATH=/opt/fileloft-fast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FILELOFT_BACKEND=fs
USER fileloft
VOLUME /var/lib/fileloft
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["fileloft-fast"]
