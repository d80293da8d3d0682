"""`tellvision clips`: what it cuts, what it shows of one video, and what it says of wrong or idle options."""

import json
import re
import subprocess
import sys
import warnings
from html import unescape

import numpy as np
import pytest

import corpus
from tellvision import cli
from tellvision.corpus.captions import CaptionConfig
from tellvision.corpus.clips import ClipConfig
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.progress import Progress
from tellvision.records import Caption, Skip
from tellvision.stages import clips as clips_stage
from tellvision.stages import shots as shots_stage
from tellvision.stages.captions import CAPTIONS, narrate
from tellvision.stages.videos import scan_videos
from tellvision.stages.workplace import Workplace
from tellvision.store import Ledger, read_manifest, read_table, to_bytes, to_table

TEXTS = corpus.TEXTS[:3]
LINES = corpus.lines(TEXTS)  # 0.5-3.5, 4.5-7.5, 8.5-11.5 in 12 seconds


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """A work folder with captions of three films; no clips yet."""
    folder = tmp_path_factory.mktemp("captioned")
    for name in ("eggs", "eggnog", "a folder/wood work"):
        corpus.narrate(corpus.film(folder / "videos" / f"{name}.mp4", TEXTS), TEXTS)
    work = folder / "work"
    with Ledger(work) as ledger:
        at = Workplace(work=work, ledger=ledger)
        scan_videos(at, folder / "videos")
        narrate(at, CaptionConfig(), SpeechConfig(when="never"), Progress(quiet=True).stage)
    return work


@pytest.fixture
def cut(captioned, tellvision):
    """Cut clips with these options, and return the rows of one video."""

    def clips(*options, video_id="eggs"):
        status, _, err = tellvision("clips", captioned, "--workers", "0", *options)
        assert status == 0, err
        return [row for row in read_table(captioned / "clips" / "main").to_pylist() if row["video_id"] == video_id]

    return clips


@pytest.fixture
def cuts(monkeypatch):
    """Stands in for the network that finds cuts; the videos it was asked for."""
    asked = []

    def find(path):
        asked.append(path.stem)
        return {"eggs": [4.0, 8.0], "eggnog": []}.get(path.stem, [6.0])

    monkeypatch.setattr(shots_stage, "find_cuts", find)
    return asked


def spans(rows):
    return [(row["start"], row["end"]) for row in rows]


def one_line(err):
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("tellvision: ")]
    assert lines == err.splitlines()[-1:]
    return lines[0]


# What it cuts


def test_lines_are_grown(cut):
    rows = cut()
    assert spans(rows) == [(0.5, 7.5), (0.5, 7.5), (4.5, 11.5)]
    assert rows[0]["text"] == f"{TEXTS[0]} {TEXTS[1]}"
    assert spans(cut("--min-time", "0")) == [(start, end) for start, end, _ in LINES]


def test_windows_hold_the_words_that_begin_in_them(cut, captioned):
    rows = cut("--by", "windows", "--window", "4", "--stride", "4")
    assert spans(rows) == [(0.0, 4.0), (4.0, 8.0), (8.0, 12.0)]
    assert [row["text"] for row in rows] == TEXTS
    assert [row["clip_id"] for row in rows] == ["eggs#0", "eggs#1", "eggs#2"]
    assert read_manifest(captioned / "clips" / "main")["config"]["by"] == "windows"


def test_no_clip_crosses_a_cut(cut, cuts, captioned):
    rows = cut("--within-shots", "--pad-after", "2")
    assert sorted(cuts) == ["eggnog", "eggs", "wood work"]
    assert spans(rows) == [(0.5, 4.0), (4.5, 8.0), (8.5, 12.0)]
    assert [row["text"] for row in rows] == TEXTS
    whole = [row for row in read_table(captioned / "clips" / "main").to_pylist() if row["video_id"] == "eggnog"]
    assert spans(whole) == [(0.5, 9.5), (0.5, 9.5), (4.5, 12.0)]  # it has no cut
    assert [row["cut"] for row in read_table(captioned / "shots" / "main").to_pylist()] == [6.0, None, 4.0, 8.0]


def test_cuts_are_looked_for_once(cut, cuts):
    cut("--within-shots")
    cuts.clear()
    rows = cut("--within-shots", "--min-shown", "2")
    assert cuts == []
    assert len(rows) == 3
    cut()
    assert cuts == []


def test_cuts_that_cannot_be_found_are_a_counted_skip(tellvision, captioned, monkeypatch):
    def find(path):
        if path.stem == "eggs":
            raise Skip("no_frames", f"{path.name}: no frame in it")
        return [6.0]

    monkeypatch.setattr(shots_stage, "find_cuts", find)
    with Ledger(captioned) as ledger:
        ledger.forget_all("shots/main")
    status, out, _ = tellvision("clips", captioned, "--workers", "0", "--within-shots", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["skipped"]["clips"] == {"no_shots": 1}
    assert found["videos"] == 2
    with Ledger(captioned) as ledger:
        ledger.forget_all("shots/main")


def test_cuts_are_looked_for_again_where_asked(tellvision, captioned, monkeypatch):
    """A clip's stage says `no_shots`, that of shots why: either name tries both again."""
    options = ["--workers", "0", "--within-shots", "--json"]
    broken = {"eggs": "no_frames"}

    def find(path):
        if path.stem in broken:
            raise Skip(broken[path.stem], f"{path.name}: no frame in it")
        return [6.0]

    monkeypatch.setattr(shots_stage, "find_cuts", find)
    for reason in ("no_shots", "no_frames", "all"):
        with Ledger(captioned) as ledger:
            ledger.forget_all("shots/main")
        broken["eggs"] = "no_frames"
        found = json.loads(tellvision("clips", captioned, *options)[1])
        assert found["skipped"]["clips"] == {"no_shots": 1}
        del broken["eggs"]
        found = json.loads(tellvision("clips", captioned, *options)[1])
        assert found["skipped"]["clips"] == {"no_shots": 1}
        found = json.loads(tellvision("clips", captioned, *options, "--retry", reason)[1])
        assert found["skipped"].get("clips", {}) == {}
    status, _, err = tellvision("clips", captioned, *options, "--retry", "no_frames")
    assert status == 1
    assert "--retry no_frames: no video was skipped for that, nothing was skipped here" in one_line(err)
    with Ledger(captioned) as ledger:
        ledger.forget_all("shots/main")


def test_a_video_without_clips_tells_what_it_dropped():
    said = [Caption("eggs", n, 100.0 + n, 101.0 + n, "behind the end", "typed") for n in range(3)]
    job = clips_stage._Job(to_bytes(to_table(said, CAPTIONS)), 12.0, None)
    result = clips_stage._clips_of_video(ClipConfig(), job)
    assert result.skip.reason == "no_clips"
    assert result.skip.detail == "3 after_end"
    assert result.dropped == {"after_end": 3}
    assert result.output.num_rows == 0


def test_what_it_prints_is_measured(tellvision, captioned):
    status, out, _ = tellvision("clips", captioned, "--workers", "0", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["videos"], found["clips"], found["captions"]) == (3, 9, 9)
    assert found["seconds_per_clip"] == pytest.approx(7.0)
    assert found["sources"]["typed"] == 9
    status, out, _ = tellvision("clips", captioned, "--workers", "0")
    assert status == 0
    assert re.search(r"clips +9 +136,600,000", out)


def test_again_it_does_nothing(cut, captioned):
    def snapshot():
        paths = [path for path in captioned.rglob("*") if path.is_file() and path.name != "lock"]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}

    cut()
    before = snapshot()
    cut()
    assert snapshot() == before


# What it shows of one video


def test_a_video_as_a_table(cut, tellvision, captioned):
    cut()
    status, out, err = tellvision("clips", captioned, "--show", "eggs")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "eggs"
    shown = " ".join(out.split())
    for text in TEXTS:
        assert f"«{text}»" in shown
    assert "3 lines, 3 clips" in out


def test_a_video_as_json(cut, tellvision, captioned):
    cut()
    status, out, err = tellvision("clips", captioned, "--show", "a folder/wood work", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["video_id"] == "a folder/wood work"
    assert [line["text"] for line in found["lines"]] == TEXTS
    assert [(clip["start"], clip["end"]) for clip in found["clips"]] == [(0.5, 7.5), (0.5, 7.5), (4.5, 11.5)]
    assert [clip["own"] for clip in found["clips"]] == TEXTS
    assert found["duration"] == pytest.approx(12.0, abs=0.1)


def test_a_video_as_a_page(cut, tellvision, captioned):
    cut()
    status, out, _ = tellvision("clips", captioned, "--show", "a folder/wood work", "--html")
    page = captioned / "pairing-a%20folder%2Fwood%20work.html"
    assert (status, out) == (0, f"{page}\n")
    text = page.read_text(encoding="utf-8")
    plain = " ".join(unescape(re.sub("<[^>]*>", " ", text)).split())
    for caption in TEXTS:
        assert caption in plain
    assert text.count('<article class="clip"') == 3
    assert "data:image/jpeg;base64," in text
    assert "<script" not in text
    assert "http" not in re.sub(r"base64,[^)]*", "", text)


def test_a_part_of_a_page(cut, tellvision, captioned):
    cut("--min-time", "0")
    status, out, _ = tellvision("clips", captioned, "--show", "eggs", "--html", "--from", "8", "--json")
    assert status == 0
    page = json.loads(out)["page"]
    with open(page, encoding="utf-8") as file:
        text = file.read()
    assert TEXTS[2] in text
    assert text.count('<article class="clip"') == 1
    status, _, err = tellvision("clips", captioned, "--show", "eggs", "--html", "--from", "8", "--to", "2")
    assert status == 1
    assert "from 8.0 to 2.0 s is no span" in one_line(err)


def test_windows_and_cuts_are_shown_too(cut, cuts, tellvision, captioned):
    cut("--by", "windows", "--within-shots")
    status, out, _ = tellvision("clips", captioned, "--show", "eggs", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["cuts"] == [4.0, 8.0]
    assert {clip["line"] for clip in found["clips"]} == {None}
    assert tellvision("clips", captioned, "--show", "eggs")[0] == 0
    status, out, _ = tellvision("clips", captioned, "--show", "eggs", "--html")
    assert status == 0


@pytest.mark.parametrize("wrong", ["egg", "EGGS", "eggs.mp4", "wood work"])
def test_an_unknown_video_names_near_ones(cut, tellvision, captioned, wrong):
    cut()
    status, out, err = tellvision("clips", captioned, "--show", wrong)
    assert (status, out) == (1, "")
    line = one_line(err)
    assert f"holds no video {wrong!r}: did you mean " in line
    assert ("a folder/wood work" if "wood" in wrong else "eggs") in line


def test_a_video_that_is_like_none(cut, tellvision, captioned):
    cut()
    status, _, err = tellvision("clips", captioned, "--show", "0123456789")
    assert status == 1
    assert "holds no video '0123456789': its ids are like eggnog, eggs, a folder/wood work" in one_line(err)


def test_showing_cuts_nothing(captioned, tellvision, tmp_path):
    status, _, err = tellvision("clips", tmp_path / "nowhere", "--show", "eggs")
    assert status == 1
    assert "is no work folder: begin with" in one_line(err)
    status, _, err = tellvision("clips", captioned, "--show", "eggs", "--name", "other")
    assert status == 1
    assert "is not finished" in one_line(err)
    assert not (captioned / "clips" / "other").exists()


def test_ids_may_begin_with_a_dash(tellvision, tmp_path):
    starts, ends, texts = zip(*LINES, strict=True)
    entry = {"start": list(starts), "end": list(ends), "text": list(texts)}
    file, work = tmp_path / "caption.json", tmp_path / "work"
    file.write_text(json.dumps(dict.fromkeys(["-a_bC-12_3x", "--two", "-h"], entry)))
    assert tellvision("import", file, "--out", work, "--workers", "0")[0] == 0
    assert tellvision("clips", work, "--workers", "0")[0] == 0
    for show in (["--show", "-a_bC-12_3x"], ["--show=-a_bC-12_3x"], ["--show", "-h"], ["--show=--two"]):
        status, out, _ = tellvision("clips", work, *show, "--json")
        assert status == 0
        assert json.loads(out)["video_id"] == show[-1].removeprefix("--show=")


def test_every_name_and_id_has_a_page_of_its_own(tellvision, tmp_path):
    starts, ends, texts = zip(*LINES, strict=True)
    entry = {"start": list(starts), "end": list(ends), "text": list(texts)}
    file, work = tmp_path / "caption.json", tmp_path / "work"
    long = ["ü" * 254 + last for last in "ab"]
    file.write_text(json.dumps(dict.fromkeys(["x", "x@other", *long], entry)))
    pages = []
    for name in ("main", "other"):
        assert tellvision("import", file, "--out", work, "--workers", "0", "--name", name)[0] == 0
        assert tellvision("clips", work, "--workers", "0", "--name", name)[0] == 0
        for video_id in ("x", "x@other", *long):
            status, out, err = tellvision("clips", work, "--show", video_id, "--html", "--name", name)
            assert status == 0, err
            pages.append(out.strip())
    assert len(set(pages)) == 8
    assert pages[0] == str(work / "pairing-x.html")
    assert pages[1] == str(work / "pairing-x%40other.html")
    assert pages[4] == str(work / "pairing-x@other.html")
    assert max(len(page.rpartition("/")[2]) for page in pages) < 250


# Wrong and idle options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--min-time", "-1"], "min_time=-1.0 is no length: give seconds, 0 or more"),
        (["--min-time", "nan"], "min_time=nan is no length"),
        (["--by", "windows", "--stride", "0"], "stride=0.0 is no length: give seconds, more than 0"),
        (["--by", "windows", "--window", "90"], "stride=4.0 is below a twentieth of window=90.0"),
        (["--max-time", "3"], "max_time=3.0 leaves 3 s beside the padding"),
        (["--pad-before", "-2"], "would shorten every clip"),
        (["--max-overlap", "1.5"], "max_overlap=1.5 is no share: give a number from 0 to 1"),
    ],
)
def test_a_wrong_option_is_one_line(tellvision, captioned, options, expected):
    status, out, err = tellvision("clips", captioned, "--workers", "0", *options)
    assert (status, out) == (1, "")
    assert expected in one_line(err)


def test_an_unknown_way_to_cut_is_refused(captioned, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["clips", str(captioned), "--by", "words"])
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_option_without_effect_is_one_line(captioned):
    command = [sys.executable, "-m", "tellvision", "clips", str(captioned), "--workers", "0", "--window", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0
    warned = [line for line in done.stderr.splitlines() if "no effect" in line]
    assert warned == ["tellvision: no effect with by=lines and no within_shots: window"]
    assert "Warning" not in done.stderr
    assert ".py" not in done.stderr


def test_warnings_are_lines_of_the_command_alone(tellvision, captioned):
    """Whoever calls `main` from Python gets warnings back as they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        status, _, err = tellvision("clips", captioned, "--workers", "0", "--min-shown", "2")
        assert warnings.showwarning is before
    assert status == 0
    assert err.splitlines()[0] == "tellvision: no effect with by=lines and no within_shots: min_shown"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--html"], "no effect without --show: --html"),
        (["--from", "3", "--to", "9"], "no effect without --show: --from, --to"),
        (["--show", "eggs", "--to", "9"], "no effect without --html: --to"),
        (["--show", "eggs", "--pad-after", "2"], "no effect with --show, which cuts nothing: how clips are cut"),
        (["--show", "eggs", "--retry", "all"], "no effect with --show, which cuts nothing: --retry"),
    ],
)
def test_a_flag_without_effect_is_one_line(cut, tellvision, captioned, options, expected):
    cut()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        status, _, err = tellvision("clips", captioned, "--workers", "0", *options)
    assert status == 0
    assert err.splitlines()[0] == f"tellvision: {expected}"


def test_clips_of_captions_that_are_not_there_are_one_line(tellvision, tmp_path):
    with Ledger(tmp_path / "work"):
        pass
    status, out, err = tellvision("clips", tmp_path / "work", "--workers", "0")
    assert (status, out) == (1, "")
    assert "is not finished: run" in one_line(err)


def test_what_is_said_does_not_command_the_terminal(tellvision, tmp_path):
    said = [(0.5, 3.5, "crack \x1b[31m two eggs"), (4.5, 7.5, "<b>&</b> \u202e whisk")]
    entry = dict(zip(("start", "end", "text"), map(list, zip(*said, strict=True)), strict=True))
    (tmp_path / "caption.json").write_text(json.dumps({"<script>": entry}))
    work = tmp_path / "work"
    assert tellvision("import", tmp_path / "caption.json", "--out", work, "--workers", "0")[0] == 0
    assert tellvision("clips", work, "--workers", "0")[0] == 0
    status, out, _ = tellvision("clips", work, "--show", "<script>")
    assert status == 0
    assert "\x1b" not in out
    assert "\u202e" not in out
    status, out, _ = tellvision("clips", work, "--show", "<script>", "--html")
    assert status == 0
    text = (work / "pairing-%3Cscript%3E.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "No file of this video is known" in text
    assert np.isfinite(read_table(work / "clips" / "main")["end"].to_numpy()).all()
