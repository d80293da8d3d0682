"""The command line: every command explains itself, prints for programs what the design says, stays light."""

import importlib
import inspect
import json
import shutil
import subprocess
import sys

import pytest

import corpus
from tellvision import __version__, cli, recipes

FAST = ["--workers", "0", "--dim", "16", "--train.epochs", "2", "--train.pairs-per-video", "4"]
LEARNS = [*FAST, "--train.min-videos", "3", "--train.held-out", "0.25"]
MAIN = "import sys; from tellvision.cli import main; sys.exit(main())"
HEAVY = {
    "torch",
    "av",
    "pyarrow",
    "tantivy",
    "matplotlib",
    "fastapi",
    "uvicorn",
    "tokenizers",
    "safetensors",
    "PIL",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(videos, work, what `run --json` printed) of a run that learned a little."""
    folder = tmp_path_factory.mktemp("finished")
    corpus.make(folder / "videos", 5)
    command = ["run", folder / "videos", "--out", folder / "work", "--json", *LEARNS]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from tellvision.cli import main; sys.exit(main())",
            *map(str, command),
        ],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return folder / "videos", folder / "work", done


# Help


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_help_lists_every_command(tellvision, words):
    status, out, _ = tellvision(*words)
    assert status == 0
    for name, (_, what) in cli.COMMANDS.items():
        assert f"  {name} " in out
        assert what in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(capsys, name):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: tellvision {name}" in out
    module = importlib.import_module(f"tellvision.commands.{cli.COMMANDS[name][0]}")
    first = inspect.getdoc(getattr(module, "import_" if name == "import" else name)).splitlines()[0]
    assert " ".join(first.split()[:4]) in " ".join(out.replace("│", " ").split())


def test_every_setting_of_a_recipe_is_a_flag(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    out = capsys.readouterr().out
    for flag in ("--train.epochs", "--clips.min-time", "--features.backbone", "--text.max-words", "--dim"):
        assert flag in out


def test_the_version(tellvision):
    assert tellvision("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sing"], ["run", "--help"], ["search", "--help"]])
def test_help_brings_nothing_heavy(words):
    code = "import sys\nfrom tellvision.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.splitlines())


def test_a_recipe_is_where_flags_start_from(finished, tellvision, monkeypatch):
    handed = []

    def learn(at, recipe, **options):
        handed.append(recipe)
        return {"retrieval": None, "why": "only looked at"}

    monkeypatch.setattr("tellvision.stages.training.learn", learn)
    assert tellvision("train", finished[1], "--recipe", "paper", "--train.epochs", "3")[0] == 0
    paper = recipes.paper()
    assert handed[0].dim == paper.dim == 4096
    assert handed[0].train.epochs == 3
    assert handed[0].train.learning_rate == paper.train.learning_rate


# For programs


def test_the_last_line_of_a_run_is_its_result(finished):
    _, _, done = finished
    lines = done.stdout.splitlines()
    assert len(lines) == 1  # progress went to stderr
    result = json.loads(lines[-1])
    assert {"videos", "clips", "skipped", "seconds", "retrieval"} <= result.keys()
    assert (result["videos"], result["clips"], result["skipped"]) == (5, 15, {})
    assert {"text_to_video", "chance", "shuffled"} <= result["retrieval"].keys()
    assert {"R@1", "R@5", "R@10", "MedR"} <= result["retrieval"]["text_to_video"].keys()
    for stage in ("videos", "captions", "clips", "features", "pairs", "train", "index", "report"):
        assert any(line.startswith(stage) for line in done.stderr.splitlines()), stage


def test_a_run_without_json_is_for_people(finished, tellvision):
    videos, work, _ = finished
    status, out, _ = tellvision("run", videos, "--out", work, *LEARNS)
    assert status == 0
    assert "5 videos, 15 clips" in out
    assert "shuffled" in out
    assert "chance" in out
    assert f"tellvision serve {work}" in out
    assert "Traceback" not in out


def test_search_prints_an_object_per_line(finished, tellvision):
    status, out, err = tellvision("search", finished[1], "whisk the butter", "--json", "-k", "4")
    assert (status, err) == (0, "")
    hits = [json.loads(line) for line in out.splitlines()]
    assert 1 <= len(hits) <= 4
    for hit in hits:
        assert hit.keys() == {"video_id", "start", "end", "score", "text"}
        assert 0 <= hit["start"] < hit["end"]
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert "whisk the butter" in hits[0]["text"]


def test_search_for_people_names_the_minute(finished, tellvision):
    status, out, _ = tellvision("search", finished[1], "whisk the butter", "-k", "1")
    assert status == 0
    assert len(out.splitlines()) == 1
    assert "whisk the butter" in out
    assert out.startswith("0:0")


@pytest.mark.parametrize("by", ["speech", "picture", "fused"])
def test_search_by_what_one_says(finished, tellvision, by):
    status, out, err = tellvision("search", finished[1], "whisk the butter", "--by", by, "--json", "-k", "3")
    assert (status, err) == (0, "")
    assert 1 <= len(out.splitlines()) <= 3


def test_a_dry_run_writes_nothing(finished, tellvision, tmp_path):
    videos = finished[0]
    status, out, _ = tellvision("run", videos, "--out", tmp_path / "work", "--dry-run", "--json")
    assert status == 0
    plan = json.loads(out)
    assert plan["videos"] == plan["to_extract"] == 5
    assert {"seconds", "bytes"} <= plan.keys()
    status, out, _ = tellvision("run", videos, "--out", tmp_path / "work", "--dry-run")
    assert "5 videos" in out
    assert not (tmp_path / "work").exists()


def test_stages_one_by_one_make_what_a_run_makes(finished, tellvision, tmp_path):
    """`run` once for the videos, then each command alone: all say that there is nothing left to do."""
    _, work, _ = finished

    def manifests():
        return {path: path.read_bytes() for path in sorted(work.rglob("manifest.json"))}

    before = manifests()
    settings = LEARNS[2:]
    for name in ("captions", "clips", "features", "pairs", "train", "index"):
        workers = ["--workers", "0"] if name == "features" else []
        assert tellvision(name, work, *workers, *(settings if name == "train" else []))[0] == 0, name
    assert manifests() == before
    assert tellvision("verify", work)[1] == "every checksum is right\n"


def test_training_alone_prints_what_was_measured(finished, tellvision):
    status, out, _ = tellvision("train", finished[1], "--json", *LEARNS[2:])
    assert status == 0
    assert {"learned", "retrieval", "training", "held_out"} <= json.loads(out).keys()


def test_training_goes_on_from_a_model(finished, tellvision, tmp_path):
    shutil.copytree(finished[1], tmp_path / "work")
    start = str(finished[1] / "runs" / "main")
    status, out, _ = tellvision("train", tmp_path / "work", "--from", start, "--json", *LEARNS[2:])
    assert status == 0
    assert json.loads(out)["learned"]


def test_a_reader_that_goes_away_is_no_error(finished):
    """`tellvision search ... | head -1` ends without a word."""
    command = [sys.executable, "-c", MAIN, "search", str(finished[1]), "the", "--json", "-k", "1000"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first.stdout.close()
    assert first.stderr.read() == b""
    first.stderr.close()
    assert first.wait() == 0


# Real files


def test_real_videos_without_subtitles_are_one_line(real_data, tellvision, tmp_path):
    videos = real_data / "odd_videos"
    status, out, err = tellvision("run", videos, "--out", tmp_path / "work", "--speech", "never", *FAST)
    assert (status, out) == (1, "")
    line = err.splitlines()[-1]
    assert line.startswith("tellvision: no_subtitles: none of 12 videos has subtitles beside it")


def test_real_videos_with_subtitles_are_searched(real_data, tellvision, tmp_path):
    """Real files of several containers, with real automatic captions beside them."""
    sources = sorted((real_data / "odd_videos").iterdir())[:6]
    spoken = sorted((real_data / "youtube_rolling_captions").rglob("*.vtt"))
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, path in enumerate(sources):
        (folder / path.name).symlink_to(path)
        (folder / f"{path.stem}.en.vtt").symlink_to(spoken[number % len(spoken)])
    # The captions are longer than these videos: most of them begin behind the end.
    other = ("--captions.no-check-times", "--speech", "never")
    status, out, _ = tellvision("run", folder, "--out", tmp_path / "work", "--json", *other, *FAST)
    assert status == 0
    result = json.loads(out)
    assert result["videos"] + sum(result["skipped"].values()) == 6
    assert result["videos"] >= 4
    assert result["clips"] >= result["videos"]
