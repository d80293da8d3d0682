"""Times that cannot be right are found; whatever else people write passes as it is."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cues import read
from tellvision.corpus import subtitles
from tellvision.corpus.subtitles import check_times
from tellvision.corpus.subtitles.sanity import check_crowd
from tellvision.records import Cue, Skip


def line(start: float, end: float, words: int = 7) -> Cue:
    return Cue(start, end, " ".join(["egg"] * words))


def speech(num: int, seconds: float = 3.0) -> list[Cue]:
    return [line(seconds * i, seconds * (i + 1)) for i in range(num)]


@pytest.mark.parametrize(
    ("cues", "duration", "detail"),
    [
        # Milliseconds taken for seconds the wrong way round: 7 words in 3 ms.
        ([line(cue.start / 1000, cue.end / 1000) for cue in speech(100)], 300.0, "100 of 100 cues last"),
        # All in the first four seconds, but for a title and a last line: 94 lines of 7 words.
        ([line(0, 4) for _ in range(98)] + [line(200, 204), line(290, 294)], 300.0, "within 4.0 s"),
        ([line(0.1 * i, 0.1 * i + 2) for i in range(60)], None, "nobody speaks so fast"),
        # What a naive converter leaves of rolling captions: 10 ms behind each line.
        ([line(3.0 * i + 2.99, 3.0 * i + 3.0) for i in range(50)], 200.0, "last 0.02 s or less"),
        # Of another, longer video.
        (speech(100), 90.0, "69 of 100 cues begin behind the end of the video (90.0 s)"),
        ([line(500, 501)], 10.0, "1 of 1 cues"),
    ],
)
def test_times_that_cannot_be_right(cues: list[Cue], duration: float | None, detail: str) -> None:
    with pytest.raises(Skip, match="implausible_times") as skipped:
        check_times(cues, duration)
    assert detail in skipped.value.detail


@pytest.mark.parametrize(
    ("cues", "duration"),
    [
        ([], 10.0),
        (speech(3), 600.0),  # only the intro
        (speech(200), 600.0),
        (speech(30), 91.0),
        ([line(0, 0), line(5, 5), line(9, 9)], None),  # three cues without an end
        ([line(0, 2, 60), line(100, 103)], 600.0),  # a card to be read
        ([line(0.25 * i, 0.25 * i + 0.25, 2) for i in range(100)], 25.0),  # eight words in a second
        ([*speech(50), *(line(i, i + 0.04) for i in range(150))], None),  # signs of one frame
        (speech(100), 160.0),  # the end is missing, but most is there
        (speech(10), math.nan),
        (speech(10), 0.0),
        (speech(10), math.inf),
        ([line(0, 1, 0)], None),
        # Bilingual: every line twice.
        ([cue for cue in speech(60) for _ in range(2)], None),
    ],
)
def test_what_people_write_passes(cues: list[Cue], duration: float | None) -> None:
    check_times(sorted(cues, key=lambda cue: cue.start), duration)


@settings(max_examples=200, deadline=None)
@given(
    times=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 300)), max_size=30),
    duration=st.none() | st.floats(),
)
def test_nothing_is_changed_and_nothing_else_is_raised(
    times: list[tuple[float, float, int]], duration: float | None
) -> None:
    cues = sorted(
        (line(start, start + length, words) for start, length, words in times), key=lambda cue: cue.start
    )
    before = list(cues)
    try:
        assert check_times(cues, duration) is None  # type: ignore[func-returns-value]
    except Skip as skip:
        assert skip.reason == "implausible_times"  # noqa: PT017
    assert cues == before


def test_real_files_pass(real_data: Path) -> None:
    for path in (real_data / "youtube_rolling_captions").glob("*.vtt"):
        cues = subtitles.read(path)
        check_times(cues)
        check_times(cues, cues[-1].end)


def test_ten_millisecond_clips_of_a_converter(tmp_path: Path) -> None:
    """Only the cues in which a line stands alone, as some programs keep them."""
    text = "".join(f"{i + 1}\n00:00:{i:02d},990 --> 00:00:{i + 1:02d},000\nline {i} of it\n\n" for i in range(40))
    with pytest.raises(Skip, match="implausible_times"):
        check_times(read(tmp_path, text, ".srt"), 60.0)


def test_a_thousand_lines_at_once_are_no_file_to_work_with() -> None:
    check_crowd([])
    check_crowd(speech(3_000))
    crowd = [line(7, 8)] * 1_000
    check_crowd(crowd)
    check_crowd([*crowd, line(12, 13)])  # five seconds later
    with pytest.raises(Skip, match=r"unreadable_subtitles: 1000 lines begin at 7 s"):
        check_crowd([*crowd, line(11.9, 13)])


def test_letters_without_spaces_are_words_too() -> None:
    cues = [Cue(i / 10, i / 10 + 5, "a" * 100_000) for i in range(120)]
    with pytest.raises(Skip, match="nobody speaks so fast"):
        check_times(cues)
    check_times([Cue(5 * i, 5 * i + 4, "Donaudampfschifffahrtsgesellschaft") for i in range(120)])
