"""What reasons, sources and stages are called on a page. The names themselves stand in the ledger."""

from html import escape

REASONS = {
    # videos
    "no_subtitles": "no subtitles beside the video",
    "empty_subtitles": "subtitles without a word in them",
    "unreadable_subtitles": "subtitles that cannot be read",
    "implausible_times": "subtitles whose times cannot be right",
    "other_language": "another language is spoken",
    "no_sound": "no sound that can be heard",
    "silent": "a sound track that is silent",
    "no_speech": "sound, but nobody speaks",
    "unreadable_name": "a file name that is not UTF-8",
    "empty_file": "a file without a byte",
    "unreadable_video": "no video that can be opened",
    "no_picture": "a file without a picture stream",
    "no_frames": "no picture where something is said",
    "no_shots": "no cuts known, since its pictures cannot be read",
    "no_clips": "no clip left",
    "odd_shape": "pictures of a shape beyond all measure",
    "not_finite": "features that are no numbers",
    "timed_out": "work on it that took too long",
    "no_features": "no features among those that were imported",
    "ambiguous_features": "several files of features for it",
    "unreadable_features": "features that cannot be read",
    "empty_features": "features without a row",
    "other_width": "features of another width than the rest",
    "worker_died": "the work on it crashed, twice",
    "worker_failed": "a library met something that it does not know",
    "gone": "the file went away during the work",
    "bad_video_id": "an id that cannot name a video",
    # lines, captions and clips
    "bad_times": "a time that is negative, reversed or no number",
    "bad_text": "a text that is none",
    "sounds": "nothing but sounds in it",
    "repeats": "a line that was shown again",
    "after_end": "said after the video has ended",
    "before_start": "said before the video begins, once it was moved",
    "no_words": "nothing that is a word",
    "empty_windows": "nothing is said in it",
    "too_short": "too little of it in one shot",
    "overlaps": "shows what the clip before it shows",
}
SOURCES = {
    "typed": "typed by a person",
    "automatic": "recognised automatically",
    "translated": "translated automatically",
    "heard": "heard by speech recognition here",
}
_UNITS = {"captions": "lines", "clips": "clips", "pairs": "clips"}
_UNITS_BY_REASON = {"after_end": "captions", "before_start": "captions", "empty_windows": "windows"}


def in_words(reason: str) -> str:
    """The reason as a reader wants it; what has no words here is spelt with spaces."""
    return REASONS.get(reason, reason.replace("_", " "))


def unit(stage: str, name: str) -> str:
    """What a stage drops for a reason, in the plural: lines, captions, windows or clips."""
    return _UNITS_BY_REASON.get(name, _UNITS.get(stage, stage))


def reason(name: str) -> str:
    """HTML: in words, and as it stands in the ledger."""
    return f"{escape(in_words(name))} <code>{escape(name)}</code>"
