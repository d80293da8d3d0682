"""The doctor: finds what is there, names the line for what is not, and never raises."""

import json
import shutil
from collections import namedtuple
from dataclasses import asdict

import pytest

from tellvision import doctor
from tellvision.corpus.speech import models
from tellvision.doctor import Check, Finding, checks, examine, finding_of, spoken
from tellvision.embedding import text
from tellvision.records import InputError
from tellvision.vision import extractors
from tellvision.vision.extractors import efficientnet_lite


@pytest.fixture(autouse=True)
def forgotten():
    """What is remembered of checked weights would hide what a test breaks."""
    for remembered in (text.offline_folder, models._packaged, models._loaded):
        remembered.cache_clear()
    yield
    for remembered in (text.offline_folder, models._packaged, models._loaded):
        remembered.cache_clear()


def found(name):
    (check,) = [check for check in checks() if check.name == name]
    return finding_of(check)


def test_here_everything_needed_is_there():
    findings = examine()
    needed = {finding.name: finding for finding in findings if not finding.optional}
    assert all(finding.ok and not finding.fix for finding in needed.values()), spoken(findings)
    assert list(needed) == [
        "python",
        "torch",
        "video decoders",
        "backbone efficientnet-lite0",
        "word table",
        "speech model",
        "full text",
        "disk space",
    ]
    assert {finding.name for finding in findings if finding.optional} == {
        "backbone efficientnet-lite1",
        "backbone efficientnet-lite2",
        "chromium",
        "cuts",
        "espeak-ng",
        "ffmpeg",
        "openvino",
        "ray",
        "s3fs",
        "torchvision",
        "transformers",
        "wordnet",
    }
    assert "1280 numbers" in needed["backbone efficientnet-lite0"].detail
    assert "30,522 word pieces of 384 numbers" in needed["word table"].detail
    assert "tiny.en, weights checked, faster-whisper" in needed["speech model"].detail
    assert "h264, hevc, vp9, av1" in needed["video decoders"].detail
    assert json.loads(json.dumps([asdict(finding) for finding in findings]))


def test_weights_are_not_those_that_were_checked(monkeypatch):
    monkeypatch.setitem(efficientnet_lite.MODELS, "0", (224, "0" * 64))
    monkeypatch.setitem(text._HASHES, "tokenizer.json", "1" * 64)
    monkeypatch.setitem(models._HASHES, "model.bin", "2" * 64)
    backbone, words, speech = map(found, ("backbone efficientnet-lite0", "word table", "speech model"))
    for finding, start in ((backbone, "0" * 12), (words, "1" * 12), (speech, "2" * 12)):
        assert not finding.ok
        assert start in finding.detail
        assert finding.fix == "pip install --force-reinstall 'tellvision[offline]'"
        assert "pip install" not in finding.detail


def test_the_extra_is_not_installed(monkeypatch):
    def not_there(_, *, local_files_only=False):
        assert local_files_only, "the hub was asked"
        raise OSError

    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    monkeypatch.setattr("faster_whisper.download_model", not_there)
    for name in ("backbone efficientnet-lite0", "word table", "speech model"):
        finding = found(name)
        assert not finding.ok
        assert finding.fix == "pip install 'tellvision[offline]'"
        assert finding.detail.endswith("is not installed")


def test_a_backbone_of_another_kind(monkeypatch):
    monkeypatch.setitem(extractors.FAMILIES, "efficientnet-lite", "no_such_module")
    finding = found("backbone efficientnet-lite0")
    assert not finding.ok
    assert "no_such_module" in finding.detail
    assert finding.fix == doctor.OFFLINE


def test_decoders_that_are_missing(monkeypatch):
    monkeypatch.setattr(doctor, "_decodes", lambda decoder: decoder not in ("hevc", "libdav1d"))
    finding = found("video decoders")
    assert not finding.ok
    assert finding.detail.endswith("came without hevc")  # av1 has a second decoder
    assert finding.fix.startswith("pip install --force-reinstall")


def test_decoders_nobody_knows():
    assert doctor._decodes("h264")
    assert not doctor._decodes("no-such-codec")


def test_a_full_disk(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    finding = found("disk space")
    assert not finding.ok
    assert finding.detail.startswith("0.1 GB free in")
    assert "--out" in finding.fix


def test_programs_of_the_system_are_no_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "WORDNET", tmp_path / "data.verb")
    findings = [finding_of(check) for check in checks() if check.optional]
    missing = {finding.name: finding for finding in findings if not finding.ok}
    missing.pop("torchvision", None)  # it has an environment of its own
    assert {name: finding.fix for name, finding in missing.items()} == {
        "chromium": "apt-get install chromium",
        "espeak-ng": "apt-get install espeak-ng",
        "ffmpeg": "apt-get install ffmpeg",
        "wordnet": "apt-get install wordnet-base",
    }
    assert all(finding.optional for finding in missing.values())
    assert spoken(findings).endswith("Everything that a run needs is there.")


def test_whatever_breaks_is_a_finding():
    def broken():
        raise OSError("libsomething.so:\n  cannot open")

    def silent():
        raise KeyError

    def told():
        raise InputError("it is not there: pip install 'other[extra]'")

    def finding(look):
        return finding_of(Check(name="x", look=look, fix="mend"))

    assert finding(broken) == Finding(name="x", ok=False, detail="libsomething.so: cannot open", fix="mend")
    assert finding(silent).detail == "KeyError"
    assert finding(told) == Finding(name="x", ok=False, detail="it is not there", fix="pip install 'other[extra]'")


def test_spoken_by_hand():
    findings = [
        Finding(name="torch", ok=True, detail="2"),
        Finding(name="word table", ok=False, detail="gone", fix="pip install it"),
        Finding(name="wordnet", ok=False, detail="not installed", fix="apt-get install it", optional=True),
    ]
    assert spoken(findings).splitlines() == [
        "ok  torch       2",
        "!!  word table  gone",
        "                pip install it",
        "--  wordnet     not installed",
        "                apt-get install it",
        "",
        "To be mended: word table",
    ]
    assert spoken([]) == "\nEverything that a run needs is there."
