"""EM in dynamax, run by its own interpreter, which has none of ours.

    python benchmarks/_regime_dynamax.py ROWS.npz [double]

ROWS.npz holds `x` (T, 2), the start `start`, `transition`, `means`, `covariances` and `iterations`. It computes in
single precision unless told otherwise, as it does by itself; ours is double. Prints one JSON object: the median of
three, CPU seconds per iteration of every core it used, compilation left out.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model import GaussianHMM


def main() -> None:
    data = dict(np.load(sys.argv[1]))
    jax.config.update("jax_enable_x64", "double" in sys.argv[2:])
    iterations = int(data["iterations"])
    model = GaussianHMM(3, 2)
    params, kinds = model.initialize(
        jax.random.PRNGKey(0),
        initial_probs=jnp.asarray(data["start"]),
        transition_matrix=jnp.asarray(data["transition"]),
        emission_means=jnp.asarray(data["means"]),
        emission_covariances=jnp.asarray(data["covariances"]),
    )
    x = jnp.asarray(data["x"])
    fit = jax.jit(lambda begin, rows: model.fit_em(begin, kinds, rows, num_iters=iterations, verbose=False))
    jax.block_until_ready(fit(params, x))
    times = []
    for _ in range(3):
        began = time.process_time()
        jax.block_until_ready(fit(params, x))
        times.append(time.process_time() - began)
    print(json.dumps({"median": statistics.median(times) / iterations}))


if __name__ == "__main__":
    main()
