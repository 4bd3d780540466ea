"""The reverse-mapping schemes: each module is the mm/rmap.c of its time."""
