"""Parsers: one module for each input format; `FORMATS` is the list of them."""
