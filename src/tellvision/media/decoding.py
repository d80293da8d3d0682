"""The one loop over a video's pictures: every decoded frame with when it begins, as far as the file can be read.

What does not decode is passed over and named. A span is begun at the key frame before it, where the file can
be entered there; frames that nobody wants are left out where the codec can do without them. Neither changes a
picture: they are those of decoding everything from the beginning, to the bit.
"""

import bisect
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av

from tellvision.media.opening import length_of, picture_of, reason_of, start_of, with_picture
from tellvision.records import Skip

ROUNDED = 1e-3  # seconds: what the times in a file may be off
_AHEAD = 20  # packets read before one is decoded: codecs put at most 16 frames out of order
_CAN_SKIP = frozenset({"h264", "hevc", "mpeg4", "mpeg2video"})  # decoders that leave out what no other frame needs
_CAN_ENTER = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "flv"})
_BACK = (0.0, 4.0, 20.0)  # seconds before a span where it is tried to enter the file

Needed = Callable[[float, float], bool]
"""(begins, ends) in seconds -> whether a frame is wanted that is on the screen at begins <= t < ends."""


class Decoded:
    """Every frame of a video that can be decoded, in the order of the decoder, with when it begins.

    Iterate once. With `start` above 0 the first frame is one that has begun by then, or the first one of the
    video. With `needed`, frames that are not needed may be missing. Afterwards:

    Attributes:
        problem: what did not decode, in one line; empty where everything did.
        expected: seconds that the file says it is long; 0 where it does not say.
        ends: seconds: when the frame that begins last leaves the screen.
    """

    def __init__(self, path: Path, start: float = 0.0, needed: Needed | None = None) -> None:
        self.path, self.start, self.needed = path, start, needed
        self.problem, self.expected, self.ends = "", 0.0, 0.0

    def __iter__(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yield when a frame begins, in seconds, and the frame.

        Raises:
            Skip: the file cannot be opened, or not one frame can be decoded (`no_frames`).
        """
        found, last = False, -math.inf
        for entry in [self.start - back for back in _BACK if self.start > back] + [-math.inf]:
            self.problem = ""
            for begins, frame in self._entered(entry):
                if begins >= last:
                    last, self.ends = begins, begins + float((frame.duration or 0) * (frame.time_base or 0))
                found = True
                yield begins, frame
            if found:
                return
        raise Skip("no_frames", f"{self.path.name}: {self.problem or 'no frame in it'}")

    def _entered(self, entry: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """The frames from the last key frame by `entry` seconds on; from the beginning for -inf.

        None at all where it is not sure that decoding from the beginning would give the same: the file has no
        sure times, the first one is no key frame, or it begins behind `start`.
        """
        inside = entry > -math.inf
        with with_picture(self.path) as container:
            stream = picture_of(container)
            stream.thread_type = "NONE"  # one thread a process: the runner keeps the cores busy
            zero, (self.expected, latest) = start_of(container), length_of(container)
            ranked = container.format.name == "avi"
            packets = self._packets(container, stream)
            whole = -math.inf  # what begins before leans on frames that were not read
            if inside:
                if not _sought(container, stream, min(entry, self.expected or entry) + zero):
                    return
                key = next((packet for packet in packets if packet is None or packet.is_keyframe), None)
                ticks = None if key is None else key.dts if ranked else key.pts
                if ticks is None:
                    return
                whole, packets = _seconds(ticks, stream) - zero, itertools.chain([key], packets)
            for time, frame in self._ranked(stream, packets) if ranked else self._timed(stream, packets, zero):
                begins = time - zero
                if begins > latest:
                    self.problem = f"a frame at {begins:.0f} s"
                    return
                if begins >= whole:
                    if inside and not (frame.key_frame and begins <= self.start + ROUNDED):
                        return
                    inside = False
                    yield begins, frame

    def _packets(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.Packet | None]:
        """What can be read of the stream, then None."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError) as error:
                self.problem, packet = reason_of(error), None
            if packet is None or packet.size:  # to a decoder, an empty one is the end
                yield packet
            if packet is None:
                return

    def _timed(
        self, stream: av.VideoStream, packets: Iterable[av.Packet | None], zero: float
    ) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their own times; those that are not needed are left out where that is sure."""
        context, needed = stream.codec_context, self.needed
        may_skip, skips = needed is not None and context.name in _CAN_SKIP, False
        came = False  # the first frame is on the screen before it begins, too
        for packet, ends in _with_ends(packets, stream) if may_skip else ((p, None) for p in packets):
            skip = False
            if may_skip and came and needed and packet and packet.pts is not None and ends is not None:
                skip = not needed(_seconds(packet.pts, stream) - zero, ends - zero)
            if skip != skips:
                context.skip_frame, skips = ("NONREF" if skip else "DEFAULT"), skip
            for frame in self._decoded(stream, packet):
                came, may_skip = True, may_skip and not frame.interlaced_frame  # a field is half a frame
                if frame.time is not None:
                    yield frame.time, frame

    def _ranked(
        self, stream: av.VideoStream, packets: Iterable[av.Packet | None]
    ) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames of a file that says when they are decoded, not when they are shown: an AVI.

        They come in the order in which they are shown, so the earliest time that waits is theirs. As many wait
        as the decoder keeps back; those before them gave no frame.
        """
        waiting: deque[int] = deque(maxlen=2 * _AHEAD)
        for packet in packets:
            if packet is not None and packet.dts is not None:
                waiting.append(packet.dts)
            for frame in self._decoded(stream, packet):
                while len(waiting) > stream.codec_context.reorder_depth + 1:
                    waiting.popleft()
                if waiting:
                    yield _seconds(waiting.popleft(), stream), frame

    def _decoded(self, stream: av.VideoStream, packet: av.Packet | None) -> list[av.VideoFrame]:
        """The frames that come out when a packet goes in; None for the packet: all that were kept back."""
        if packet is None:
            packet = av.Packet()
            packet.time_base = stream.time_base or Fraction(1, av.time_base)
        try:
            return stream.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            self.problem = reason_of(error)
            return []


def _with_ends(
    packets: Iterable[av.Packet | None], stream: av.VideoStream
) -> Iterator[tuple[av.Packet | None, float | None]]:
    """Packets, each with when the next frame begins, in seconds of the file; None where its times are no help.

    The next frame is looked for among the packets around: one that is not seen makes the end later, not
    earlier. The durations in a file are no help: those of an MP4 are of the order of decoding.
    """
    waiting: deque[av.Packet | None] = deque()
    known: list[int] = []  # when frames begin, rising
    ordered, latest = True, -math.inf
    for packet in packets:
        waiting.append(packet)
        if packet is not None:
            ordered = ordered and packet.pts is not None and not (packet.dts is not None and packet.dts < latest)
            latest = latest if packet.dts is None else packet.dts
            if packet.pts is not None and not packet.is_discard:
                bisect.insort(known, packet.pts)
                del known[: -2 * _AHEAD]
        while waiting and (packet is None or len(waiting) > _AHEAD):
            first = waiting.popleft()
            if first is None or first.pts is None or not ordered:
                yield first, None
                continue
            place = bisect.bisect_right(known, first.pts)
            yield first, _seconds(known[place], stream) if place < len(known) else math.inf


def _seconds(ticks: int, stream: av.VideoStream) -> float:
    """Rounded as the time of a frame is."""
    base = stream.time_base or Fraction(1, av.time_base)
    return float(ticks) * base.numerator / base.denominator


def _sought(container: av.container.InputContainer, stream: av.VideoStream, seconds: float) -> bool:
    """Whether the file could be entered at the key frame before `seconds` of its clock."""
    if not stream.time_base or container.format.name not in _CAN_ENTER:
        return False
    try:
        container.seek(int(seconds / stream.time_base), stream=stream)
    except (av.FFmpegError, ValueError, OverflowError):
        return False
    return True
