# One image for every process; docker-compose.yml chooses which one a container runs.
#
# The base images are named by tag, not by digest: pin them (image@sha256:...) to the digests your registry shows
# before you build for production.

FROM python:3.11-slim AS packages
COPY requirements.txt /requirements.txt
# Wheels only, each checked against its hash: no compiler is needed, here or in the final image.
RUN python -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --require-hashes --no-deps --requirement /requirements.txt

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /nautilus --shell /usr/sbin/nologin nautilus \
    && install --directory --owner nautilus --group nautilus --mode 0750 /nautilus
COPY --from=packages /venv /venv
COPY --chown=root:root . /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NAUTILUS_HOME=/nautilus \
    NUMBA_CACHE_DIR=/tmp/numba \
    OPENBLAS_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2
USER nautilus
# The root file system may be read-only: only /nautilus (a volume) and /tmp are written.
VOLUME ["/nautilus"]
EXPOSE 8000 9100 9200
CMD ["python", "-X", "nautilus-web", "-m", "uvicorn", "nautilus_site.asgi:application", \
     "--host", "0.0.0.0", "--port", "8000", "--ws", "websockets-sansio", \
     "--ws-per-message-deflate", "false", "--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "5"]
