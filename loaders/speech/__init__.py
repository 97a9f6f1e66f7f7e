"""Recordings in: what was said in them becomes text. `transcriber` is the door to this folder."""
