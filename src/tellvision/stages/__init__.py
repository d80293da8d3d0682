"""The stages over videos: what each should hold, and the work on one video.

    scan_videos -> narrate -> (find_shots) -> cut_clips --+
                                  extract_tracks ---------+-> join_pairs

advance.py    one stage brought up to date: what every other module here calls
workplace.py  where a run works
videos.py     which videos there are
captions.py   what is said in them, read or heard        imported.py   the same without the videos
shots.py      where the picture is cut                   clips.py      each caption's clip
tracks.py     what is seen, and each clip's share of it

Nothing is imported here: shots.py and tracks.py bring PyTorch, the others do without. A stage compares
what its folder should hold with what the ledger says it holds and works on the difference; the hash of its
manifest is the input of the next, and a video whose output did not change starts nothing behind it.
"""
