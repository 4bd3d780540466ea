"""What the compiled core and the slow model must agree on, and how both are replayed side by side."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest

from .core_state import CoreReplay
from .models import MODELS
from .naive import NaiveReplay
from .naive_rmap import MISSES

SUMMARY = ("vmas", "anon_vmas", "pages", "merges", "reclaim", "file_reclaim", "overhead_bytes")
SUMMARY += ("findings", "unmapped_faults")
EXTRA = ("anon_vmas_never_used", "mremap_efault_span", "span_forced", "zero_copies", "early_copies")
EXTRA += ("lossy_merges", "lossy_moves", "ptes_lost")
CHAIN_COUNTS = {"chains_allocated": "avcs_allocated", "chains_live": "avcs_live"}
CHAIN_COUNTS |= {name: name for name in ("fork_objects", "fork_insertions", "fault_objects")}
EXTRA_OF_SCHEME = {  # key of `summary.extra` -> what the model counts it by
    "pte_chain": {"find_vma_calls": "find_vma"}
    | {name: name for name in ("rmap_adds", "rmap_removes", "rmap_remove_steps")},
    "anonmm": {"find_vma_calls": "find_vma"}
    | {name: name for name in ("mremap_copies", "swapin_copies", "miss_extinct", "migrations")},
    "anon_vma": {},
    "anon_vma_chain": CHAIN_COUNTS,
    "linux6": CHAIN_COUNTS | {"anon_vmas_reused": "reused"},
}
UNDEFINED = {  # scheme -> table -> columns that mean something only where vmas are on lists
    "anonmm": {"anon_vmas": ("peak_vmas",), "processes": ("anon_vmas_touched",)},
}
LOGS = ("merges", "walks", "file_walks")
TABLES = {
    "anon_vmas": NaiveReplay.anon_vma_rows,
    "members": NaiveReplay.members_rows,
    "processes": NaiveReplay.process_rows,
    "vma_spans": NaiveReplay.vma_span_rows,
    "vmas": NaiveReplay.vma_rows,
}

# Before rmap 39 nothing but this is defined: lists of merged heads are not, nor is the pgoff without a file.
LAYOUT_SUMMARY = ("vmas", "merges")
LAYOUT_TABLES = {
    "vmas": ("pid", "start", "end", "prot", "flags", "file"),
    "processes": ("pid", "first_event", "last_event", "vmas_peak", "faults", "merges", "refusals"),
}
LAYOUT_COUNTERS = ("vmas_", "vma_", "merge", "by_case", "refused")

ABSENT = "absent"


class Difference(AssertionError):
    """Core and model differ; `event` is the number of the row after which they do, `what` names where."""

    def __init__(self, event, what, core, model):
        super().__init__(event, what, core, model)
        self.event, self.what, self.core, self.model = event, what, core, model

    def __str__(self):
        return f"event {self.event}, {self.what}:\n  core   {self.core}\n  model  {self.model}"


class Lockstep:
    """A core and a model that are fed the same rows.

    Parameters
    ----------
    metadata : TraceMetadata, optional
    rules : tuple of str
    scheme : str
    model : type, optional
        In place of the scheme's model, a class that does something differently.
    core : object, optional
        In place of a new `CoreReplay`, something that shows the same.
    **options : str
        "on" or "off", and "rw" or "rwx" for `brk_flags`.
    """

    def __init__(self, metadata=None, rules=(), model=None, core=None, scheme="anon_vma", **options):
        self.scheme = scheme
        self.core = core or CoreReplay(metadata, rules, scheme, **options)
        switches = {
            name: value == "on" if value in ("on", "off") else value for name, value in options.items()
        }
        self.model = (model or MODELS[scheme])(metadata, rules=rules, **switches)
        self.layout_only = "merge_pre_rmap39" in rules
        self.tally = Tally()

    def feed(self, *rows):
        """Feed rows to both, without looking."""
        self.core.feed(*rows)
        for row in rows:
            self.model.feed(row)

    def step(self, row):
        """Feed a row to both and compare all state and all counters."""
        self.feed(row)
        self.compare_state()

    def compare_state(self):
        """Raise Difference where the two stand differently now."""
        core, model = self.core.state(), self.model.state()
        if self.scheme != "anon_vma":  # walks tell the lists
            model["anon_vmas"] = dict.fromkeys(sorted(model["anon_vmas"]))
        if self.model.merges_like_before:  # no vma is on a list
            model["anon_vmas"] = core["anon_vmas"] = {}
        if self.layout_only:
            core, model = layout_of(core), layout_of(model)
        self._compare("state", core, model)
        core, model = self.core.counters(), self.tally.counters(self.model)
        if self.layout_only:
            core, model = layout_counters(core), layout_counters(model)
        self._compare("counters", core, model)

    def compare_results(self):
        """Raise Difference where summaries or result tables differ; the core ends here."""
        for name in LOGS:
            if name == "merges" or not self.layout_only:
                self._compare_logs(name, self.core.rows(name), getattr(self.model, name))
        core, model = self.core.summary(), self.model.summary()
        for key in LAYOUT_SUMMARY if self.layout_only else SUMMARY:
            self._compare(f"summary.{key}", core[key], model[key])
        if not self.layout_only:
            extra = {key: model["extra"][key] for key in EXTRA}
            counted = EXTRA_OF_SCHEME[self.scheme].items()
            extra |= {key: self.model.counts[name] for key, name in counted}
            self._compare("summary.extra", {key: core["extra"][key] for key in extra}, extra)
        for name in LAYOUT_TABLES if self.layout_only else TABLES:
            if (self.scheme, name) == ("anonmm", "members"):
                continue  # of anon_vmas
            core, model = self.core.rows(name), TABLES[name](self.model)
            if self.layout_only:
                core, model = (
                    [{key: row[key] for key in LAYOUT_TABLES[name]} for row in rows] for rows in (core, model)
                )
            undefined = UNDEFINED.get(self.scheme, {}).get(name, ())
            core, model = (
                [{key: value for key, value in row.items() if key not in undefined} for row in rows]
                for rows in (core, model)
            )
            self._compare(name, sorted_rows(core), sorted_rows(model))

    def _compare(self, what, core, model):
        if core != model:
            path, core, model = first_difference(core, model)
            raise Difference(self.model.event, what + path, core, model)

    def _compare_logs(self, what, core, model):
        """Compare tables whose rows tell events, in their order."""
        for number, pair in enumerate(zip_longest(core, model, fillvalue=ABSENT)):
            if pair[0] != pair[1]:
                event = min(row["event"] for row in pair if row is not ABSENT)
                path, core, model = first_difference(*pair)
                raise Difference(event, f"{what}[{number}]{path}", core, model)


class Tally:
    """The counters of a model, summed up over its logs as these grow."""

    def __init__(self):
        self.seen = Counter()  # rows of each log
        self.by_case, self.refused, self.refused_new = Counter(), Counter(), 0
        self.walks, self.file_walks = Counter(), Counter()

    def counters(self, model):
        """Return what `CoreReplay.counters` returns."""
        for log in LOGS:
            rows = getattr(model, log)
            for row in rows[self.seen[log] :]:
                self._add_merge(row) if log == "merges" else self._add_walk(getattr(self, log), row)
            self.seen[log] = len(rows)
        counts, peaks = model.counts, model.peaks
        same = ("pages_freed", "cow_copies", "cow_reuses", "zero_copies", "early_copies", "swapped_out")
        same += ("swapped_in", "unmapped_faults", "mremap_efault_span", "span_forced")
        same += ("lossy_merges", "lossy_moves", "ptes_lost")
        same += ("activated", "unmapped", "file_activated", "file_unmapped")
        return {
            "vmas_created": counts["vmas"],
            "vmas_live": counts["vmas_live"],
            "vmas_peak": peaks["vmas"],
            "vma_splits": counts["splits"],
            "anon_vmas_allocated": len(model.anon_vmas),
            "anon_vmas_freed": len(model.anon_vmas) - counts["anon_vmas_live"],
            "anon_vmas_peak": peaks["anon_vmas"],
            "longest_list": peaks["longest_list"],
            "pages_allocated": counts["pages"],
            "pages_peak": peaks["pages"],
            "reclaim_pages": counts["reclaimed"],
            "file_pages_looked_at": counts["file_reclaimed"],
            "bugs": len(model.bugs),
            **{name: counts[name] for name in same},
            "merge_attempts": len(model.merges),
            "merged": sum(self.by_case.values()),
            "by_case": +self.by_case,
            "refused": +self.refused,
            "refused_new": self.refused_new,
            **self._walk_counters(self.walks, ""),
            "miss_range": self.walks["miss_range"],
            **self._walk_counters(self.file_walks, "file_"),
        }

    def _add_merge(self, row):
        if row["case"]:
            self.by_case[row["case"]] += 1
        for side in ("left", "right"):
            if row[side] not in ("ok", "not_adjacent"):
                self.refused[row[side]] += 1
                self.refused_new += row[side + "_new"]

    @staticmethod
    def _add_walk(sums, row):
        sums["walks"] += 1
        sums[row["outcome"]] += 1
        for name in ("vmas_visited", *MISSES, "hits", "unreachable", "early_stop", "list_length"):
            sums[name] += row[name]

    @staticmethod
    def _walk_counters(sums, prefix):
        names = {"early_stops": "early_stop", "list_length_sum": "list_length"}
        names |= {"locked_fail": "fail_locked", "young_fail": "fail_young"}
        names |= {name: name for name in ("walks", "vmas_visited", *MISSES, "hits", "unreachable")}
        del names["miss_range"]  # no such thing in the walk of a file page
        return {prefix + told: sums[name] for told, name in names.items()}


# ---- what is compared


def layout_of(state):
    """Return what `merge_pre_rmap39` defines of a state."""
    return {
        pid: [
            (start, end, flags, prot, pgoff if file else None, file)
            for start, end, flags, prot, pgoff, file, _ in mm["vmas"]
        ]
        for pid, mm in state["mms"].items()
    }


def layout_counters(counters):
    return {name: value for name, value in counters.items() if name.startswith(LAYOUT_COUNTERS)}


def sorted_rows(rows):
    """Return rows in an order that does not depend on how they were told."""
    names = sorted(rows[0]) if rows else ()
    return sorted(rows, key=lambda row: [(row[name] is None, row[name]) for name in names])


def first_difference(core, model, path=""):
    """Return where two pieces of plain data first differ: the path to it, and both values there."""
    if isinstance(core, dict) and isinstance(model, dict):
        differing = [key for key in {**core, **model} if core.get(key, ABSENT) != model.get(key, ABSENT)]
        key = differing[0]
        return first_difference(core.get(key, ABSENT), model.get(key, ABSENT), f"{path}[{key!r}]")
    if isinstance(core, list) and isinstance(model, list):
        pairs = enumerate(zip_longest(core, model, fillvalue=ABSENT))
        at, pair = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
        return first_difference(*pair, f"{path}[{at}]")
    return path, core, model
