"""Hidden Markov regimes: features, the forward filter, training, and the artefacts models travel in.

Nothing here imports numba until machine code is asked for. Only filtered probabilities may trade; what
smooths is in `smoothing` and sees the future.
"""
