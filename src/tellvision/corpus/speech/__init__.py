"""Sound -> Cues: what is said in a video that has no subtitles, heard by faster-whisper.

    media.Sound -> pieces cut at silences -> windows of speech -> recogniser -> words -> lines (Cues)

Stands beside `subtitles`: `captions` reads either's Cues. The paper's narration is YouTube's own
speech recognition (section 3.2); this is the same for videos that nobody transcribed.

config.py     what one may choose           listening.py  a video's sound -> Heard
models.py     where weights come from       lines.py      words -> lines

Nothing is imported here: the choices are to be known without what listens.
"""
