"""Which subtitle file beside a video is read, and where its words come from."""

import json
from pathlib import Path

import pytest

from tellvision.corpus import subtitles

TYPED = "1\n00:00:01,000 --> 00:00:02,000\nCrack the eggs.\n"
ROLLING_VTT = "WEBVTT\nKind: captions\n\n00:01.000 --> 00:02.000 align:start\n \ncrack<00:01.500><c> two</c>\n"
AUTOMATIC_JSON3 = json.dumps(
    {"events": [{"tStartMs": 0, "segs": [{"utf8": "cut"}, {"utf8": " it", "tOffsetMs": 300}]}]}
)
ROLLING_SRT = """1
00:00:01,000 --> 00:00:01,990

cut it

2
00:00:01,990 --> 00:00:02,000
cut it


3
00:00:02,000 --> 00:00:02,990
cut it
now
"""


class TestBeside:
    NAMES = (
        "x.mp4", "x.de.vtt", "x.vtt", "x.en.srt", "x.en.vtt", "x.en-de.vtt", "x.mp4.en-US.json3", "xy.en.vtt",
        "x.live_chat.json3", "x.txt", "other.mkv", "x.cut.mp4", "x.cut.vtt", "a.b.webm", "a.b.EN.VTT",
    )  # fmt: skip

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in self.NAMES:
            (tmp_path / name).write_text(TYPED)
        (tmp_path / "x.en.vtt").write_text(ROLLING_VTT)
        (tmp_path / "x.mp4.en-US.json3").write_text(AUTOMATIC_JSON3)
        (tmp_path / "y.en.srt").write_text(ROLLING_SRT)
        return tmp_path

    def test_english_first_then_typed_before_automatic_before_translated(self, folder: Path) -> None:
        expected = ["x.en.srt", "x.en.vtt", "x.mp4.en-US.json3", "x.en-de.vtt", "x.vtt", "x.de.vtt"]
        assert [path.name for path in subtitles.find(folder / "x.mp4")] == expected
        assert [path.name for path in subtitles.find(str(folder / "x.mp4"), sorted(self.NAMES))] == expected
        listing = sorted(self.NAMES)
        assert subtitles.find(folder / "x.mp4", listing) == [folder / name for name in expected]

    def test_a_name_belongs_to_its_own_video(self, folder: Path) -> None:
        listing = sorted(self.NAMES)
        assert subtitles.find(folder / "x.cut.mp4", listing) == [folder / "x.cut.vtt"]
        assert subtitles.find(folder / "a.b.webm", listing) == [folder / "a.b.EN.VTT"]
        assert subtitles.find(folder / "other.mkv", listing) == []
        assert subtitles.find(folder / "nowhere" / "x.mp4") == []
        two = ["y.mkv", "y.mp4", "y.mkv.vtt", "y.srt"]
        assert subtitles.find(folder / "y.mp4", two) == [folder / "y.srt"]
        assert set(subtitles.find(folder / "y.mkv", two)) == {folder / "y.srt", folder / "y.mkv.vtt"}

    def test_sources(self, folder: Path) -> None:
        names = [
            *(name for name in self.NAMES if name.lower().endswith(subtitles.ENDINGS)),
            "y.en.srt",
            "none.vtt",
        ]
        sources = {name: subtitles.source_of(folder / name) for name in names}
        assert sources == {
            "x.de.vtt": "typed", "x.vtt": "typed", "x.en.srt": "typed", "x.en.vtt": "automatic",
            "x.en-de.vtt": "translated", "x.mp4.en-US.json3": "automatic", "xy.en.vtt": "typed",
            "x.live_chat.json3": "typed", "x.cut.vtt": "typed", "a.b.EN.VTT": "typed",
            "y.en.srt": "automatic", "none.vtt": "typed",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "source"),
        [("x.en-de.vtt", "translated"), ("x.en-zh-Hans.vtt", "translated"), ("x.en-US.vtt", "typed"),
         ("x.en-gb.vtt", "typed"), ("x.en-orig.vtt", "typed"), ("x.en.vtt", "typed"), ("x.vtt", "typed")],
    )  # fmt: skip
    def test_a_second_language_in_the_name_says_translated(self, tmp_path: Path, name: str, source: str) -> None:
        (tmp_path / name).write_text(TYPED)
        assert subtitles.source_of(tmp_path / name) == source
