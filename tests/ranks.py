"""One of several processes that train together: started by torchrun from the tests.

python tests/ranks.py PAIRS RUN TEXTS [KILLED_RANK AT_BATCH]
"""

import os
import signal
import sys
from pathlib import Path

from tellvision.embedding.batches import DataSet, Pooled, prepared
from tellvision.embedding.config import ModelConfig, Track, TrainConfig
from tellvision.embedding.loop import state
from tellvision.embedding.model import TextVideoModel
from tellvision.embedding.pairs import Pairs
from tellvision.embedding.together import Together
from tellvision.embedding.train import train
from tellvision.records import InputError

CONFIG = TrainConfig(
    epochs=3, videos_per_batch=4, pairs_per_video=4, learning_rate=1e-3, precision="float32", seed=1
)


def main() -> None:
    folder, run, texts, *kill = sys.argv[1:]
    state.EVERY, state.SHARE = 0.0, 1e9
    with Together(timeout=20) as together:
        pairs = Pairs(Path(folder))
        shape = ModelConfig(tracks=(Track(name="image", fps=1.0, dim=pairs.dim),), dim=16)
        model = TextVideoModel.new(shape, seed=CONFIG.seed)
        path = Path(texts).with_name(f"{Path(texts).name}.{together.rank}")
        inputs, usable = prepared(pairs, model.prepare, model.input_width, model.input_dtype, path, pairs.content)

        def tell(done: int, *_: object) -> None:
            if kill and together.rank == int(kill[0]) and done == int(kill[1]):
                os.kill(os.getpid(), signal.SIGKILL)

        sets = [DataSet(source=Pooled(pairs), texts=inputs, usable=usable, videos=pairs.videos)]
        train(sets, model, CONFIG, Path(run), together=together, tell=tell)


if __name__ == "__main__":
    try:
        main()
    except InputError as problem:
        sys.exit(f"tellvision: {problem}")
