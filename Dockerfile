# wsi-seg for the CPU. For NVIDIA GPUs: docker build --build-arg TORCH_INDEX=INDEX, the index that pytorch.org names.
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /source
COPY . .
RUN python -m venv /opt/wsi-seg \
 && /opt/wsi-seg/bin/pip install --no-cache-dir --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)" \
 && /opt/wsi-seg/bin/pip install --no-cache-dir -c constraints.txt '.[train,fonts]'

FROM python:${PYTHON}
# The kernels are compiled for the processor that the container runs on.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 wsi
COPY --from=build /opt/wsi-seg /opt/wsi-seg
ENV PATH=/opt/wsi-seg/bin:$PATH
USER 1000
WORKDIR /work
ENTRYPOINT ["wsi-seg"]
CMD ["--help"]
