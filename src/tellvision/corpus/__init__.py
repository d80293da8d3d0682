"""What is said, and when: subtitles or speech -> captions -> clips (paper sections 3.1 and 3.2)."""
