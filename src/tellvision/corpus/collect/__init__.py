"""Where videos come from.

folder.py           a folder of videos, with subtitles beside them or not
subtitles_only.py   a folder of subtitle files, whose videos are elsewhere
"""
