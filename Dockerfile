# The kd command:
#   docker build --tag kd --build-arg VERSION="$(git describe --tags | cut -c 2-)" .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/kd" kd fetch sample
#   docker run --rm --publish 127.0.0.1:8000:8000 --volume "$PWD:/kd" kd app --host 0.0.0.0
# .devcontainer/ uses the stage dev.
ARG BASE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE} AS dev
RUN apt-get update \
  && apt-get install --yes --no-install-recommends chromium fonts-liberation git make \
  && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --shell /bin/bash dev
USER dev

FROM ${BASE} AS build
ARG EXTRAS=web
# There is no git here that knows the version; without it, it is the last release's.
ARG VERSION=
COPY . /src
RUN python3 -m venv /venv \
  && if [ -n "${VERSION}" ]; then export SETUPTOOLS_SCM_PRETEND_VERSION="${VERSION}"; fi \
  && /venv/bin/python -m pip install --no-cache-dir -c /src/constraints.txt "/src[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /venv /venv
# Any user may run it (--user), so the home folder for settings and caches is everybody's.
RUN mkdir --mode 1777 /kd /var/lib/kd
ENV HOME=/var/lib/kd PATH=/venv/bin:$PATH
WORKDIR /kd
USER 1000
EXPOSE 8000
ENTRYPOINT ["kd"]
CMD ["--help"]
