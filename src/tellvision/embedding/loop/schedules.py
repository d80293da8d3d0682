"""The learning rate of every step, a function of its number alone: a resumed run needs no memory."""

import math

from tellvision.embedding.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Adam's step at optimiser step `step`, counted from 0 over all epochs.

    `decay` is the paper's: the rate shrinks by a factor after each epoch (section 4.2). `cosine` falls from
    the end of the warm-up along half a wave to nothing behind the last step. Warm-up rises in equal steps.
    """
    total = config.epochs * steps_per_epoch
    warm = round(config.warm_up * total)
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    if config.schedule == "decay":
        return config.learning_rate * config.decay ** (step // steps_per_epoch)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))
