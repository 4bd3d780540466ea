"""What events look like (`native_events.native_tables`), as constants of the compiled code."""

from __future__ import annotations

from ..native_events import native_tables

_TABLES = native_tables()
WORDS, FIELDS, LAYOUT, REQUIRED = _TABLES.words, _TABLES.fields, _TABLES.layout, _TABLES.required
TEXT_NAME, WORD_BITS = _TABLES.text_name, _TABLES.word_bits
