# The live side of venuewise: produce, route, view. See docs/deployment.md.
#
# The first stage builds the wheel and a virtual environment from locks with hashes; the second has neither pip's
# cache nor the build tools, and runs as a user without rights.

FROM python:3.11.13-slim-bookworm AS build
WORKDIR /build
COPY requirements-build.lock requirements-run.lock ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && python -m venv /opt/venuewise \
    && /opt/venuewise/bin/pip install --no-cache-dir --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/hatchling build -t wheel -d dist \
    && /opt/venuewise/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.11.13-slim-bookworm
COPY --from=build /opt/venuewise /opt/venuewise
# Kernels are compiled for any processor of this architecture, so that what the build compiles is what runs:
# numba keys its cache by processor. malloc gets two arenas, for the machines of 1 GiB.
ENV PATH=/opt/venuewise/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/var/cache/venuewise \
    MALLOC_ARENA_MAX=2 \
    CSV_FILE=/usr/share/venuewise/synthetic.csv.zst \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9464
RUN groupadd --gid 10001 venuewise \
    && useradd --uid 10001 --gid venuewise --create-home venuewise \
    && install -d -o venuewise -g venuewise "$NUMBA_CACHE_DIR" /usr/share/venuewise
USER 10001:10001
WORKDIR /home/venuewise
# CSV_FILE is what `produce` plays where no other file is named: five minutes of a synthetic market of four venues
# and two symbols, generated here; its messages say that it is synthetic.
RUN venuewise generate "$CSV_FILE" --venues 4 --symbols AAPL,MSFT --duration 5m --rate 100 \
    && venuewise warm
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['METRICS_PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["venuewise"]
CMD ["route"]
