"""What bad input gets: one clear line and exit status 1, or a counted skip, and nothing is lost."""

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import pytest

import corpus
from tellvision import cli
from tellvision.embedding import checkpoint
from tellvision.embedding.config import ModelConfig, Track
from tellvision.embedding.model import TextVideoModel
from tellvision.search.narration import Narration

FAST = ["--workers", "0", "--dim", "16", "--train.epochs", "1", "--train.pairs-per-video", "4"]
LEARNS = [*FAST, "--train.min-videos", "3", "--train.held-out", "0.25"]


@pytest.fixture(autouse=True)
def hub(monkeypatch):
    """No test asks a model hub for anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def tellvision(capsys):
    """Run a command here; returns its exit status, stdout and stderr."""

    def call(*words):
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return call


@pytest.fixture
def refused(tellvision):
    """Run a command that is refused; returns the one line that says why."""

    def call(*words):
        status, out, err = tellvision(*words)
        assert status == 1
        assert out == ""
        *before, last = err.splitlines()
        assert last.startswith("tellvision: ")
        assert not any(line.startswith("tellvision: ") for line in before)
        return last

    return call


@pytest.fixture
def result(tellvision):
    """Run `tellvision run ... --json`; returns its last line."""

    def call(videos, work, *words):
        status, out, err = tellvision("run", videos, "--out", work, "--json", *FAST, *words)
        assert status == 0, err
        return json.loads(out.splitlines()[-1])

    return call


@pytest.fixture
def videos(tmp_path):
    return corpus.make(tmp_path / "videos", 3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(videos, work) of a run that learned a little; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    corpus.make(folder / "videos", 5)
    assert cli.main(["run", str(folder / "videos"), "--out", str(folder / "work"), *LEARNS]) == 0
    return folder / "videos", folder / "work"


# The folder of videos


def test_a_folder_that_is_not_there(refused, tmp_path):
    line = refused("run", tmp_path / "nowhere", "--out", tmp_path / "work")
    assert "nowhere is no folder: name the folder that holds the videos" in line


def test_a_file_for_a_folder(refused, tmp_path):
    (tmp_path / "x.mp4").touch()
    assert "is no folder" in refused("run", tmp_path / "x.mp4", "--out", tmp_path / "work")


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "videos").mkdir()
    line = refused("run", tmp_path / "videos", "--out", tmp_path / "work")
    assert "holds no video: files are looked for by their ending (.avi," in line
    assert "holds no video" in refused("run", tmp_path / "videos", "--out", tmp_path / "work", "--dry-run")


def test_no_subtitles_anywhere(refused, tmp_path):
    for name in "abc":
        corpus.film(tmp_path / "videos" / f"{name}.mp4", corpus.TEXTS[:1])
    for _ in range(2):  # and so it is when asked again
        line = refused("run", tmp_path / "videos", "--out", tmp_path / "work", "--speech", "never", *FAST)
        assert "no_subtitles: none of 3 videos has subtitles beside it: put ID.vtt" in line
    line = refused("run", tmp_path / "videos", "--out", tmp_path / "work", *FAST)
    assert "captions: 3 of 3 cannot be used (3 no_sound), e.g. a: no subtitle file beside a; a.mp4 has no" in line


def test_no_video_that_can_be_read(refused, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "letter.mp4").write_text("dear reader")
    (folder / "empty.mkv").touch()
    line = refused("run", folder, "--out", tmp_path / "work", *FAST)
    assert "videos: 2 of 2 cannot be used (1 empty_file, 1 unreadable_video)" in line
    assert "e.g. empty: " in line


def test_what_is_no_video_is_counted_and_the_rest_is_found(result, tellvision, videos, tmp_path):
    said = corpus.TEXTS[:2]
    for name in ("letter.mp4", "empty.mp4", "cut.mp4", "half.mkv", "playlist.mp4", "mute.mp4"):
        corpus.narrate(videos / name, said)
    (videos / "letter.mp4").write_text("dear reader\n" * 100)
    (videos / "empty.mp4").touch()
    (videos / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:8,\n{videos / 'v00.mp4'}\n#EXT-X-ENDLIST\n")
    for name in ("cut.mp4", "half.mkv"):
        corpus.film(videos / name, [*said, *said])
        (videos / name).write_bytes((videos / name).read_bytes()[: (videos / name).stat().st_size // 2])
    (videos / "mute.vtt").unlink()
    corpus.film(videos / "mute.mp4", said)
    (videos / "gone.mp4").symlink_to(videos / "nothing")
    found = result(videos, tmp_path / "work")
    assert found["skipped"] == {"unreadable_video": 4, "empty_file": 1, "no_sound": 1}
    assert found["videos"] == 4  # three whole ones, and of the half one what can be read
    status, out, _ = tellvision("search", tmp_path / "work", said[0], "--json", "-k", "50")
    assert status == 0
    assert {json.loads(line)["video_id"] for line in out.splitlines()} <= {"v00", "v01", "v02", "half"}


def test_a_name_that_is_no_text_is_counted(result, videos, tmp_path):
    name = b"caf\xe9"
    try:
        shutil.copy(videos / "v00.mp4", bytes(videos) + b"/" + name + b".mp4")
    except OSError:
        pytest.skip("this file system takes no such name")
    found = result(videos, tmp_path / "work")
    assert found["skipped"] == {"unreadable_name": 1}
    assert found["videos"] == 3


def test_names_are_kept_whatever_they_hold(result, tellvision, tmp_path):
    folder = tmp_path / "videos"
    names = ["a b", "crème brûlée #1?", "100% [final] (2)", "日本", "-dash", "it's", 'quo"te', "a.b.c"]
    for name in names:
        video = folder / f"{name}.mp4"
        corpus.narrate(corpus.film(video, corpus.TEXTS[:2], seconds=3), corpus.TEXTS[:2])
    found = result(folder, tmp_path / "work")
    assert found["videos"] == len(names)
    _, out, _ = tellvision("search", tmp_path / "work", corpus.TEXTS[0], "--json", "-k", "99")
    assert {json.loads(line)["video_id"] for line in out.splitlines()} == set(names)


def test_two_videos_of_the_same_name_in_two_folders(result, tellvision, tmp_path):
    folder = tmp_path / "videos"
    for where, texts in (("a", corpus.TEXTS[:2]), ("b", corpus.TEXTS[2:4])):
        corpus.narrate(corpus.film(folder / where / "x.mp4", texts), texts)
    assert result(folder, tmp_path / "work")["videos"] == 2
    _, out, _ = tellvision("search", tmp_path / "work", corpus.TEXTS[2], "--json")
    assert json.loads(out.splitlines()[0])["video_id"] == "b/x"


def test_where_only_the_ending_differs_ids_keep_it(result, tellvision, tmp_path):
    folder = tmp_path / "videos"
    for ending, texts in ((".mp4", corpus.TEXTS[:2]), (".mkv", corpus.TEXTS[2:4])):
        video = corpus.film(folder / f"x{ending}", texts)
        corpus.narrate(video, texts, f"{ending}.vtt")
    corpus.narrate(corpus.film(folder / "y.mp4", corpus.TEXTS[4:]), corpus.TEXTS[4:])
    assert result(folder, tmp_path / "work")["videos"] == 3
    for question, video in ((0, "x.mp4"), (2, "x.mkv"), (4, "y")):
        _, out, _ = tellvision("search", tmp_path / "work", corpus.TEXTS[question], "--json")
        assert json.loads(out.splitlines()[0])["video_id"] == video


# Subtitles


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "cp1252", "utf-32"])
def test_subtitles_in_other_encodings(result, tellvision, tmp_path, encoding):
    texts = ["whisk the crème brûlée", "sand the board"]
    video = corpus.film(tmp_path / "videos" / "x.mp4", corpus.TEXTS[:2])
    video.with_suffix(".srt").write_bytes(corpus.srt(corpus.lines(texts)).encode(encoding))
    assert result(tmp_path / "videos", tmp_path / "work")["skipped"] == {}
    _, out, _ = tellvision("search", tmp_path / "work", "crème brûlée", "--json")
    assert "crème brûlée" in json.loads(out.splitlines()[0])["text"]


def test_subtitles_with_times_of_nonsense(result, videos, tmp_path):
    for name in ("backwards", "negative", "some", "late"):
        corpus.film(videos / f"{name}.mp4", corpus.TEXTS[:2])
    (videos / "backwards.vtt").write_text("WEBVTT\n\n00:00:09.000 --> 00:00:01.000\nwhisk the butter\n")
    (videos / "negative.srt").write_text("1\n-00:00:09,000 --> -00:00:01,000\nwhisk the butter\n")
    (videos / "some.vtt").write_text(
        "WEBVTT\n\n00:00:09.000 --> 00:00:01.000\nwhisk the butter\n\n"
        "00:00:01.000 --> 00:00:06.000\nsand the wooden board\n"
    )
    (videos / "late.vtt").write_text("WEBVTT\n\n10:00:00.000 --> 10:00:05.000\nwhisk the butter\n")
    found = result(videos, tmp_path / "work")
    assert found["skipped"] == {"unreadable_subtitles": 2, "implausible_times": 1}
    assert found["videos"] == 4
    manifest = json.loads((tmp_path / "work" / "captions" / "main" / "manifest.json").read_text())
    assert manifest["counts"]["dropped"] == {"bad_times": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_subtitles"),
        (b"\x00\x01\x02\xff" * 1000, "unreadable_subtitles"),
        (b"WEBVTT\n\n", "empty_subtitles"),
        (b"WEBVTT\n\n00:01.000 --> 00:05.000\n[Music]\n", "empty_subtitles"),
    ],
)
def test_subtitles_of_nonsense(result, videos, tmp_path, content, reason):
    corpus.film(videos / "x.mp4", corpus.TEXTS[:2])
    (videos / "x.vtt").write_bytes(content)
    assert result(videos, tmp_path / "work")["skipped"] == {reason: 1}


def test_a_worse_file_steps_in_for_a_broken_one(result, videos, tmp_path):
    corpus.narrate(corpus.film(videos / "x.mp4", corpus.TEXTS[:2]), corpus.TEXTS[:2], ".srt", corpus.srt)
    (videos / "x.en.vtt").write_text("no subtitles at all")
    found = result(videos, tmp_path / "work")
    assert (found["skipped"], found["videos"]) == ({}, 4)


# The work folder


def test_a_work_folder_of_another_version(refused, finished, tmp_path):
    videos, work = finished
    shutil.copytree(work, tmp_path / "work")
    with sqlite3.connect(tmp_path / "work" / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    line = refused("run", videos, "--out", tmp_path / "work", *LEARNS)
    assert "has layout version 9, this tellvision reads 1: use the version that wrote it, or another --out" in line
    assert "layout version 9" in refused("train", tmp_path / "work")


def test_a_manifest_of_another_version(refused, finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "work")
    path = tmp_path / "work" / "index" / "main" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    assert "has layout version 2" in refused("search", tmp_path / "work", "whisk")


def test_the_work_folder_is_the_videos_folder(refused, videos):
    line = refused("run", videos, "--out", videos, *FAST)
    assert "is the folder of the videos: name another one for the output" in line
    assert not (videos / "lock").exists()


def test_a_work_folder_that_is_not_ours(refused, videos, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to you.txt").write_text("dear")
    line = refused("run", videos, "--out", tmp_path / "letters", *FAST)
    assert "is not empty and not a work folder: name a new folder for the output" in line
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to you.txt"]


def test_a_work_folder_that_is_a_file(refused, videos, tmp_path):
    (tmp_path / "work").write_text("mine")
    assert "work is a file: name a folder" in refused("run", videos, "--out", tmp_path / "work", *FAST)


def test_a_work_folder_in_use(refused, finished):
    from tellvision.store import Ledger

    videos, work = finished
    with Ledger(work):
        line = refused("run", videos, "--out", work, *LEARNS)
    assert "another run is working in" in line


@pytest.mark.parametrize("command", [["search", "{work}", "whisk"], ["serve", "{work}"]])
@pytest.mark.parametrize("work", ["nowhere", "empty"])
def test_no_index_to_search(refused, tmp_path, command, work):
    (tmp_path / "empty").mkdir()
    line = refused(*[word.format(work=tmp_path / work) for word in command])
    says = {"nowhere": "is no work folder: begin with", "empty": "is not finished: run `tellvision run` on"}
    assert says[work] in line
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("command", ["captions", "clips", "features", "pairs", "train", "index"])
def test_no_work_folder_for_a_single_stage(refused, tmp_path, command):
    line = refused(command, tmp_path / "nowhere")
    assert "is no work folder: begin with `tellvision run VIDEOS --out" in line
    assert not (tmp_path / "nowhere").exists()


def test_another_name_was_never_made(refused, finished):
    assert "is not finished" in refused("search", finished[1], "whisk", "--name", "other")


def test_damaged_vectors_are_found(refused, tellvision, finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "work")
    assert tellvision("verify", tmp_path / "work")[0] == 0
    path = tmp_path / "work" / "features" / "main" / "efficientnet-lite0" / "shard-00000.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    line = refused("verify", tmp_path / "work")
    assert "1 items are damaged, e.g. v00 in" in line
    assert "delete that folder and run again" in line


# Settings and models


def test_an_unknown_recipe(refused, videos, tmp_path):
    line = refused("run", videos, "--out", tmp_path / "work", "--recipe", "soup")
    assert "unknown recipe 'soup': use one of laptop, paper" in line


def test_an_unknown_backbone(refused, videos, tmp_path):
    line = refused("run", videos, "--out", tmp_path / "work", *FAST, "--features.backbone", "no-such")
    assert "unknown backbone 'no-such': use one of efficientnet-lite0" in line


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--train.epochs", "0", "epochs is above 0, got 0"),
        ("--clips.min-time", "-1", "min_time=-1.0 is no length"),
        ("--train.epochs", "many", "many"),
        ("--train.epoch", "3", "--train.epochs"),
    ],
)
def test_a_flag_that_cannot_be(capsys, videos, tmp_path, flag, value, said):
    """What is wrong with a flag is said with where its help is, before anything is done."""
    with pytest.raises(SystemExit) as end:
        cli.main(["run", str(videos), "--out", str(tmp_path / "work"), flag, value])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert said in err
    assert "tellvision run --help" in err
    assert "Traceback" not in err
    assert not (tmp_path / "work").exists()


def test_an_unknown_command(tellvision):
    status, out, err = tellvision("sing")
    assert (status, out) == (2, "")
    assert err == "tellvision: unknown command 'sing'; `tellvision --help` lists them\n"


def test_held_out_ids_that_do_not_exist(refused, finished, tmp_path):
    videos, work = finished
    shutil.copytree(work, tmp_path / "work")
    file = tmp_path / "held_out.txt"
    file.write_text("somebody\nelse\n")
    line = refused("run", videos, "--out", tmp_path / "work", *LEARNS, "--held-out", file)
    assert "2 of 2 ids are no video with clips here, e.g. 'else', here they look like 'v0" in line


def test_a_held_out_file_that_is_none(refused, videos, tmp_path):
    line = refused("run", videos, "--out", tmp_path / "work", *FAST, "--held-out", tmp_path / "nowhere.txt")
    assert "--held-out" in line
    assert "give a text file, a video id per line" in line
    line = refused("run", videos, "--out", tmp_path / "work", *FAST, "--held-out", videos / "v00.mp4")
    assert "give a text file, a video id per line" in line
    assert not (tmp_path / "work").exists()


def test_a_model_that_is_none(refused, videos, tmp_path):
    """Said before anything is worked on, not after hours of it."""
    for path, said in (
        (tmp_path / "nowhere", "there is no checkpoint at"),
        (videos, "cannot be read, a checkpoint needs it"),
        (videos / "v00.mp4", "is a file, a checkpoint is a folder"),
    ):
        assert said in refused("run", videos, "--out", tmp_path / "work", *FAST, "--model", path)
        assert not (tmp_path / "work").exists()


def test_a_model_of_other_features(refused, videos, finished, tmp_path):
    config = ModelConfig(tracks=(Track(name="motion", fps=1.5, dim=7),), dim=8)
    checkpoint.save(TextVideoModel.new(config, seed=0), tmp_path / "model")
    line = refused("run", videos, "--out", tmp_path / "work", *FAST, "--model", tmp_path / "model")
    assert "reads motion (7), the features here are efficientnet-lite0 (1280)" in line
    assert not (tmp_path / "work").exists()
    shutil.copytree(finished[1], tmp_path / "done")
    assert "reads motion (7)" in refused("index", tmp_path / "done", "--model", tmp_path / "model")


# Questions


def test_a_question_with_no_known_word(refused, tellvision, finished):
    work = finished[1]
    assert "the model knows no word of '\u2603': ask with other words" in refused(
        "search", work, "\u2603", "--by", "picture"
    )
    for by in ([], ["--by", "fused"]):  # what is said knows other words than the picture, and may find nothing
        status, out, err = tellvision("search", work, "\u2603", *by)
        assert (status, out, err) == (0, "nothing found: ask with other words\n", "")
        assert tellvision("search", work, "\u2603", "--json", *by) == (0, "", "")


def test_a_question_that_is_none(refused, finished):
    assert "the question is empty" in refused("search", finished[1], "   ")
    assert "k is 0: ask for at least 1 hit" in refused("search", finished[1], "whisk", "-k", "0")


def test_a_small_folder_has_no_picture_to_search_by(result, refused, tellvision, videos, tmp_path):
    found = result(videos, tmp_path / "work")
    assert found["retrieval"] is None
    assert tellvision("search", tmp_path / "work", corpus.steps_of(0)[0])[0] == 0
    line = refused("search", tmp_path / "work", "whisk", "--by", "picture")
    assert "a model is needed and there is none: search by speech" in line


# A full disk

FULL_DISK = textwrap.dedent(
    """
    import resource, signal, sys
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a full disk, writing gives an error
    size = int(sys.argv.pop(1))
    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    from tellvision.cli import main
    sys.exit(main())
    """
)


def on_a_small_disk(size, *words):
    """Run a command where no file can become larger than `size` bytes."""
    return subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(size), *map(str, words)], capture_output=True, text=True, timeout=200
    )


KEPT = {"shard-00000.bin", "table.parquet", "model.safetensors", "metrics.jsonl", "vectors.npy", "clips.parquet"}


def artefacts(work):
    """What a run leaves, but for what names moments: the report's pictures and the parts of the text index."""
    return {
        str(path.relative_to(work)): path.read_bytes()
        for path in sorted(work.rglob("*"))
        if path.name in KEPT or (path.name == "manifest.json" and "index" not in path.parts)
    }


def fills_up(command, size):
    """A command that meets a full disk: one line, and no more than that."""
    full = on_a_small_disk(size, *command)
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert "Exception ignored" not in full.stderr
    said = [line for line in full.stderr.splitlines() if line.startswith("tellvision: ")]
    assert said == full.stderr.splitlines()[-1:]
    assert on_a_small_disk(0, *command).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 9000, 17_000, 40_000, 70_000, 160_000, 300_000, 2_000_000])
def test_a_full_disk_is_one_line_and_loses_nothing(finished, tmp_path, size):
    videos, straight = finished
    fills_up(["run", videos, "--out", tmp_path / "work", *LEARNS], size)
    assert artefacts(tmp_path / "work") == artefacts(straight)
    again = on_a_small_disk(100, "search", tmp_path / "work", corpus.TEXTS[0])
    assert again.returncode == 0, again.stderr  # reading needs no room


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "size"),
    [
        ("index", 100),
        ("index", 600),
        ("index", 1500),
        ("report.html", 30_000),
        ("pairs", 8000),
        ("captions", 1000),
    ],
)
def test_a_disk_that_is_full_late_is_one_line_too(finished, tmp_path, room, size):
    videos, straight = finished
    shutil.copytree(straight, tmp_path / "work")
    gone = tmp_path / "work" / room
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    fills_up(["run", videos, "--out", tmp_path / "work", *LEARNS], size)
    assert artefacts(tmp_path / "work") == artefacts(straight)


@pytest.mark.parametrize("size", [20, 1000, 20_000])
def test_a_text_index_on_a_full_disk_is_no_mistake_of_ours(tmp_path, size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Narration.build([f"word{i} and{7 * i} more{13 * i}" for i in range(5000)], tmp_path / "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_almost_full_disk_is_one_line(finished, tmp_path):
    """One size of the slow test above, for every day: the disk is full while vectors are written."""
    test_a_full_disk_is_one_line_and_loses_nothing(finished, tmp_path, 40_000)


def test_a_folder_that_nobody_may_write_is_one_line(refused, videos, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    line = refused("run", videos, "--out", blocked / "work", *FAST)
    assert "run the same again, nothing done is lost" in line or "name a folder" in line
