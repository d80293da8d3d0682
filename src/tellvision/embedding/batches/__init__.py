"""From pairs, or straight from tracks, to training batches (paper, section 4.2).

texts.py      what the text tower reads for every clip, made once, in a memory-mapped file
drawing.py    which clips a batch holds: B videos x K pairs, a pure function of seed, epoch and number
pooled.py     their rows out of the pairs folder
spans.py      their rows out of the tracks: pooled on the fly, or step by step
filling.py    a batch put together in buffers that are used again
feeding.py    batches made in the background while a model learns from the one before
"""

from tellvision.embedding.batches.drawing import Batches, DataSet, Drawn
from tellvision.embedding.batches.feeding import feed
from tellvision.embedding.batches.filling import Batch, Buffers
from tellvision.embedding.batches.pooled import Pooled
from tellvision.embedding.batches.spans import Spans
from tellvision.embedding.batches.texts import prepared

__all__ = ["Batch", "Batches", "Buffers", "DataSet", "Drawn", "Pooled", "Spans", "feed", "prepared"]
