"""Small narrated videos for the tests: a few seconds, a colour and a moving square per step, subtitles beside."""

import json

import av
import numpy as np

STEPS = {  # what is said of a step -> the colours of its ground and of its square
    "crack two eggs into the bowl": ((210, 40, 40), (250, 240, 200)),
    "whisk the butter with sugar": ((40, 180, 60), (20, 20, 90)),
    "sand the wooden board smooth": ((50, 70, 210), (220, 180, 20)),
    "paint the fence in white": ((220, 220, 90), (120, 20, 120)),
    "water the small green plants": ((30, 200, 210), (200, 60, 20)),
    "fold the paper into a boat": ((190, 60, 200), (30, 230, 60)),
}
TEXTS = list(STEPS)
SECONDS_PER_STEP = 4


def picture(text, shift=0, height=48, width=64):
    """One frame (height, width, 3) uint8: the step's colours, the square moved by `shift` pixels."""
    ground, square = STEPS[text]
    frame = np.empty((height, width, 3), np.uint8)
    frame[:] = ground
    left = shift % (width - 16)
    frame[height // 3 : height // 3 + 16, left : left + 16] = square
    return frame


def film(path, texts, *, rate=5, codec="libx264", seconds=SECONDS_PER_STEP, options=None, height=48, width=64):
    """A video that shows the step of each text for `seconds`; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = rate
        for i in range(len(texts) * seconds * rate):
            frame = picture(texts[i // (seconds * rate)], i, height, width)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    return path


def lines(texts, seconds=SECONDS_PER_STEP):
    """(start, end, text) of each step's narration."""
    return [(i * seconds + 0.5, (i + 1) * seconds - 0.5, text) for i, text in enumerate(texts)]


def stamp(seconds, comma="."):
    return f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}".replace(".", comma)


def vtt(said):
    """Typed WebVTT."""
    return "WEBVTT\n\n" + "\n".join(f"{stamp(s)} --> {stamp(e)}\n{text}\n" for s, e, text in said)


def srt(said):
    """SubRip."""
    return "\n".join(
        f"{n}\n{stamp(s, ',')} --> {stamp(e, ',')}\n{text}\n" for n, (s, e, text) in enumerate(said, 1)
    )


def rolling_vtt(said):
    """WebVTT as YouTube writes automatic captions: each line is built up word by word, then repeated."""
    cues, above = [], " "
    for start, end, text in said:
        words = text.split()
        step = (end - start) / len(words)
        timed = words[0] + "".join(f"<{stamp(start + i * step)}><c> {w}</c>" for i, w in enumerate(words[1:], 1))
        cues.append(f"{stamp(start)} --> {stamp(end)} align:start position:0%\n{above}\n{timed}\n")
        cues.append(f"{stamp(end)} --> {stamp(end + 0.01)} align:start position:0%\n{text}\n \n")
        above = text
    return "WEBVTT\nKind: captions\nLanguage: en\n\n" + "\n".join(cues)


def json3(said):
    """YouTube's json3, typed."""
    events = [
        {"tStartMs": round(s * 1000), "dDurationMs": round((e - s) * 1000), "segs": [{"utf8": text}]}
        for s, e, text in said
    ]
    return json.dumps({"wireMagic": "pb3", "events": events})


FORMATS = ((".en.vtt", rolling_vtt), (".srt", srt), (".en.json3", json3), (".vtt", vtt))


def narrate(video, texts, ending=".vtt", write=vtt):
    """Subtitles beside a video; returns their path."""
    path = video.with_name(video.stem + ending)
    path.write_text(write(lines(texts)), encoding="utf-8")
    return path


def steps_of(number, count=3):
    """The steps of the number-th video of a corpus: no two of the first 30 have the same ones in a row."""
    order = np.random.default_rng(number).permutation(len(TEXTS))[:count]
    return [TEXTS[i] for i in order]


def make(folder, count, *, steps=3):
    """`count` narrated videos v00 ... in `folder`, formats of subtitles in turn; returns `folder`."""
    for number in range(count):
        texts = steps_of(number, steps)
        video = film(folder / f"v{number:02d}.mp4", texts)
        ending, write = FORMATS[number % len(FORMATS)]
        narrate(video, texts, ending, write)
    return folder
