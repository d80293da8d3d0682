"""What the tests of subtitles share: a file read from text, and what holds for its cues."""

import math
from pathlib import Path

from tellvision.corpus import subtitles
from tellvision.records import Cue


def read(tmp_path: Path, text: str | bytes, ending: str = ".vtt") -> list[Cue]:
    path = tmp_path / f"x{ending}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return subtitles.read(path)


def check(cues: list[Cue]) -> None:
    """What holds for the cues of any file whatsoever."""
    assert cues
    for cue in cues:
        assert 0 <= cue.start <= cue.end < math.inf
        assert cue.text
        assert cue.text == " ".join(cue.text.split())
        if cue.words:
            assert cue.text == " ".join(word.text for word in cue.words)
            assert cue.words[0].start == cue.start
            assert cue.words[-1].start <= cue.end
        cue.text.encode()
    starts = [cue.start for cue in cues]
    assert starts == sorted(starts)
    times = [word.start for cue in cues for word in cue.words]
    assert times == sorted(times)
