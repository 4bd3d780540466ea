"""The sections of a report: statistics in, headings, readings, figures and tables out. Words live here."""
