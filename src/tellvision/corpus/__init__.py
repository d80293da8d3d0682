"""What is said, and when: subtitles or speech -> captions -> clips (paper sections 3.1 and 3.2).

collect/      which videos there are, and the subtitle files beside them
subtitles/    a subtitle file -> Cues        speech/       sound -> Cues
captions.py   Cues -> Captions, with sounds.py (what is not said), sentences.py and punctuation.py, language.py
clips/        Captions -> Clips
"""
