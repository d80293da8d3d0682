"""Sound for the tests: speech by espeak-ng, music by numpy, laid under a picture at a time of one's choice."""

import shutil
import subprocess
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

RATE = 16_000


def say(text, folder, voice="en-us", speed=160):
    """The text spoken, (n,) float32 at `RATE`; without espeak-ng the test is skipped, saying so."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    path = folder / "said.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text], check=True)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        rate = file.getframerate()
    at = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def quiet(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


def music(seconds, seed=0):
    """Chords over drums, (n,) float32 at `RATE`."""
    rng, out = np.random.default_rng(seed), quiet(seconds)
    for beat in range(int(seconds * 4)):
        at = beat * RATE // 4
        t = np.arange(min(RATE // 4, len(out) - at)) / RATE
        drum = np.sin(2 * np.pi * 60 * t) if beat % 4 == 0 else rng.normal(0, 0.3, len(t))
        out[at : at + len(t)] += 0.4 * drum * np.exp(-20 * t)
        if beat % 2 == 0:
            root = 220 * 2 ** (rng.integers(12) / 12)
            notes = [root * 2 ** (step / 12) * k for step in (0, 4, 7) for k in (1, 2, 3)]
            out[at : at + len(t)] += sum(0.04 * np.sin(2 * np.pi * f * t) for f in notes) * np.exp(-3 * t)
    return np.clip(out, -1, 1)


def with_sound(path, pieces, *, picture=None, codec="aac", rate=RATE, layout="mono", format="fltp"):
    """A video whose sound is made of `pieces`, pairs of (seconds where it begins, samples); returns its path.

    `picture` is (first, last second) of grey frames, five a second; None: sound alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = None
        if picture:
            video = container.add_stream("libx264", rate=5)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream(codec, rate=rate, layout=layout)
        audio.codec_context.time_base = Fraction(1, rate)
        if video:
            for number in range(round(picture[0] * 5), round(picture[1] * 5)):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8))
                frame.pts, frame.time_base = number * 200, Fraction(1, 1000)
                container.mux(video.encode(frame))
            container.mux(video.encode())
        channels = audio.codec_context.layout.nb_channels
        for starts, samples in pieces:
            for at in range(0, len(samples), 1024):
                part = np.tile(samples[at : at + 1024], (channels, 1))
                if format == "s16":
                    part = (part.T.reshape(1, -1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=format, layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(starts * rate) + at
                container.mux(audio.encode(frame))
        container.mux(audio.encode())
    return path
