"""Replay: events in, result tables out."""
