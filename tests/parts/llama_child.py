"""The process in which a real llama.cpp server runs: `llama_child MODEL_FILE SLOTS CONTEXT_TOKENS [API_KEY]`.

Prints its address once it is ready to answer, and lives until its standard input is closed, so that it never outlives
the tests that started it, however they end.
"""

from __future__ import annotations

import sys

import xllamacpp


def main(model_file: str, slots: int, context_tokens: int, api_key: str | None) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model_file
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = context_tokens * slots
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.endpoint_metrics = True
    params.cpuparams.n_threads = 1
    params.ui = False
    params.cache_ram_mib = 0
    if api_key is not None:
        params.api_keys = [api_key]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
