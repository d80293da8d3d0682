"""Sound of a video, block by block: mono at 16 kHz, on the clock of its pictures.

What is decoded follows the times in the file: sound that begins late begins with silence, a hole
is filled with silence, what is there twice is heard once. Memory does not grow with the length.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from tellvision.media.opening import length_of, opened, reason_of, start_of
from tellvision.records import Skip

RATE = 16_000  # samples per second
BLOCK = 10 * RATE  # samples: blocks are of about this size
_SLACK = 0.05  # seconds by which the file's times and the counted samples may part
_PREROLL = 0.5  # seconds decoded before a span: codecs need a run-up
_RATES = range(4_000, 768_001)  # samples per second that are no nonsense


class Sound:
    """Sound of a video from `start` to `end` seconds, as blocks of mono float32 at `RATE`.

    Sample i of all blocks together is what is heard `start + i / RATE` seconds after the file begins.
    Iterate once; afterwards `note` says what was odd, if anything.
    """

    def __init__(self, path: Path, start: float = 0.0, end: float = math.inf) -> None:
        if not 0 <= start <= end:
            raise ValueError(f"a span needs 0 <= start <= end in seconds, got start={start}, end={end}")
        self.path, self.start, self.end = path, start, end
        self.note = ""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (n,) float32 in -1..1, n at most `BLOCK`.

        Raises:
            Skip: the file cannot be opened (`empty_file`, `unreadable_video`), or nothing of the span can
                be heard (`no_sound`): no sound track, no decoder, no sample.
        """
        with opened(self.path) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise Skip("no_sound", f"{self.path.name} has no sound track")
            if stream.codec_context is None:
                raise Skip("no_sound", f"{self.path.name}: nothing here decodes its sound")
            stream.codec_context.thread_count = 1  # as for frames: the runner keeps the cores busy
            expected, latest = length_of(container)
            decoded = _Decoded(container, stream, start_of(container) + self.start, latest - self.start)
            if self.start > 0:
                decoded.seek(start_of(container) + self.start - _PREROLL)
            wanted = math.inf if self.end == math.inf else round((self.end - self.start) * RATE)
            given = 0
            for block in _blocks(_in_place(_resampled(decoded))):
                part = block[: int(min(len(block), wanted - given))]
                given += len(part)
                if len(part):
                    yield part
                if given >= wanted:
                    break
        ends = self.start + given / RATE
        if not given and wanted:
            raise Skip("no_sound", f"{self.path.name}: {decoded.problem or 'no sound in it'}")
        if decoded.problem or ends < min(expected, self.end) - 2.0:
            self.note = f"sound ends at {ends:.0f} of {expected:.0f} s"
            self.note += f": {decoded.problem}" if decoded.problem else ""


class _Decoded:
    """Frames and when they begin, in seconds after `zero`; what does not decode is passed over and named."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.AudioStream, zero: float, latest: float
    ) -> None:
        self._container, self._stream, self._zero, self._latest = container, stream, zero, latest
        self.problem = ""

    def seek(self, seconds: float) -> None:
        with contextlib.suppress(av.FFmpegError, ValueError):  # else everything is decoded from the beginning
            self._container.seek(int(seconds * av.time_base), backward=True)

    def __iter__(self) -> Iterator[tuple[float | None, av.AudioFrame]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, ValueError) as error:
                self.problem = reason_of(error)
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                self.problem = reason_of(error)
                continue
            for frame in frames:
                begins = None if frame.time is None else frame.time - self._zero
                if begins is not None and begins > self._latest:
                    self.problem = f"sound at {begins:.0f} s"
                    return
                if frame.sample_rate in _RATES and frame.samples:
                    yield begins, frame


def _resampled(frames: Iterable[tuple[float | None, av.AudioFrame]]) -> Iterator[tuple[float | None, np.ndarray]]:
    """Pieces (n,) at `RATE`, each with when it begins, or None where it follows on the one before."""
    resampler, form, due = None, None, 0.0
    for time, frame in frames:
        begins = due if time is None else time
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        starts = None
        if resampler is None or form != found or abs(begins - due) > _SLACK:
            if resampler is not None:
                yield None, _samples(resampler.resample(None))
            resampler, form = av.AudioResampler(format="flt", layout="mono", rate=RATE), found
            starts = due = begins
        due += frame.samples / frame.sample_rate
        yield starts, _samples(resampler.resample(frame))
    if resampler is not None:
        yield None, _samples(resampler.resample(None))


def _samples(frames: Iterable[av.AudioFrame | None]) -> np.ndarray:
    parts = [frame.to_ndarray()[0] for frame in frames if frame is not None]
    samples = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0)


def _in_place(pieces: Iterable[tuple[float | None, np.ndarray]]) -> Iterator[np.ndarray]:
    """The pieces from 0 on, one after the other: silence in the holes, nothing twice."""
    given, early = 0, 0  # samples yielded; samples still to come that lie before them
    for starts, samples in pieces:
        if starts is not None:
            early = given - round(starts * RATE)
        while early < 0:
            silence = np.zeros(min(-early, BLOCK), np.float32)
            early, given = early + len(silence), given + len(silence)
            yield silence
        left_out = min(early, len(samples))
        early, given = early - left_out, given + len(samples) - left_out
        yield samples[left_out:]


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in pieces of `BLOCK`, the last one shorter."""
    waiting, length = [], 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= BLOCK:
            whole = np.concatenate(waiting)
            full = length - length % BLOCK
            yield from (whole[i : i + BLOCK] for i in range(0, full, BLOCK))
            waiting, length = [whole[full:].copy()], length - full
    if length:
        yield np.concatenate(waiting)
