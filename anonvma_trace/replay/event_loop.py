"""The event loop: one branch for each operation, each a call of one function named for the kernel's path."""

from __future__ import annotations

from .compiled import entry_point, kernel
from .fault_runs import replay_plain_faults
from .faults import fault, touch
from .file_rmap import reclaim_file_page
from .headroom import FAULTS_AT_ONCE, blocks_over, has_room
from .layout import (
    DIAG_BAD_FORK,
    DIAG_BUG,
    DIAG_LOST,
    FILE_SPECIAL,
    LOG_SPANS,
    NULL,
    REGION_ROWS,
    VM_ACCESS,
    VM_DONTEXPAND,
)
from .log import log_diagnostic, settle_vma_spans
from .madvise import sys_madvise, sys_mlock
from .mmap import do_mmap_pgoff, do_munmap, standing_vma, sys_brk
from .mprotect import sys_mprotect
from .mremap import do_mremap
from .named_pages import named_page
from .own_rows import next_own_row
from .pools import sort_free_pages
from .processes import do_exec, do_exit, do_fork, find_process, process_of
from .reclaim import scan, shrink_page, swap_out_page
from .rows import (
    NOT_GIVEN,
    OP_BRK,
    OP_EXEC,
    OP_EXIT,
    OP_FORK,
    OP_LOST,
    OP_MADVISE,
    OP_MARK,
    OP_MLOCK,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MUNLOCK,
    OP_MUNMAP,
    OP_READ_FAULT,
    OP_RECLAIM,
    OP_REFERENCED,
    OP_SCAN,
    OP_SWAP_OUT,
    OP_TOUCH,
    OP_VMA,
    OP_WRITE_FAULT,
    PAGE_ROUND,
    page_below,
    page_end,
)
from .schemes.defaults import MAP_LOCKED
from .schemes.interface import page_referenced, settle_peaks, state_may_change
from .timeline import log_change, raise_peaks, sample_timeline


@kernel
def event_has_room(s, op, pid, child, length, pages, old_pages):
    """Return whether there is room for this event whatever it does."""
    glob = s.glob[0]
    if op == OP_READ_FAULT or op == OP_WRITE_FAULT or op == OP_TOUCH:
        return has_room(s, 0, 0, 0, 0, 0, 0, FAULTS_AT_ONCE)
    if op == OP_SCAN:
        return has_room(s, 0, 0, 0, 0, 3 * min(length, glob.n_active + glob.n_inactive))
    if op == OP_RECLAIM:
        return has_room(s, glob.vmas_live, 0, 0, 0, 2)  # one of a file may visit every vma
    proc = find_process(s, pid)
    if proc == NULL:
        return has_room(s, 1, 1, 0, 0, 1)
    mm = s.mm[s.proc[proc].mm]
    n_vmas = mm.n_vmas
    if op == OP_FORK:
        old = find_process(s, child)
        if old != NULL:
            n_vmas += s.mm[s.proc[old].mm].n_vmas
        return has_room(s, n_vmas, n_vmas, 0, mm.n_blocks, 0, mm.rss)
    if op == OP_MREMAP:
        return has_room(
            s,
            2 * n_vmas,
            3 * n_vmas,
            min(pages, 1 << 24),
            mm.n_blocks + blocks_over(min(old_pages, 1 << 24)),
            0,
            mm.rss,
        )
    if op == OP_MLOCK or op == OP_MMAP:
        return has_room(
            s,
            n_vmas,
            0,
            glob.populates * min(pages, 1 << 24),
            glob.populates * blocks_over(min(pages, 1 << 24)),
            0,
        )
    return has_room(s, n_vmas, 0, 0, 0, 1)


@kernel
def finish_event(s, row):
    """Bring everything that is taken after each event, a row of the batch, up to date."""
    glob = s.glob[0]
    if glob.proc != NULL:
        proc = s.proc[glob.proc]
        proc.last_event = glob.event
        if proc.mm != NULL:
            owner = s.proc[s.mm[proc.mm].owner]
            owner.vmas_peak = max(owner.vmas_peak, s.mm[proc.mm].n_vmas)
    settle_vma_spans(s)
    settle_peaks(s)
    if glob.is_shard:
        log_change(s, row)
    else:
        glob.vmas_sum += glob.vmas_live
        raise_peaks(s)
        sample_timeline(s)


@entry_point
def replay_events(
    s, first, last, ts, pid, comm, op, addr, length, prot, flags, pgoff, file, new_addr, new_len, child, frame
):
    """Replay rows [first, last) of a batch; return the row to go on with: `last`, or one that needs room first.

    Parameters
    ----------
    s : State
    first, last : int64
        Rows of the batch.
    ts, addr, length, pgoff, new_addr, new_len, frame : ndarray of int64
        Columns of the event table, unsigned ones seen as signed; nulls are -1.
    pid, comm, op, prot, flags, file, child : ndarray of int64
        Columns with names as codes; a null comm or child is -1, a null file 0.
    """
    glob = s.glob[0]
    is_shard, shard = glob.is_shard != 0, glob.shard
    sort_free_pages(s)
    faults_to_come = 0  # for which there is room
    row = first - 1
    while row + 1 < last:
        row += 1
        if is_shard and s.shards[row] != shard:
            own = next_own_row(s, row, last)
            glob.event += own - row
            row = own - 1
            continue
        code = op[row]
        if code == OP_WRITE_FAULT and glob.runs:
            behind = replay_plain_faults(s, row, last, ts, pid, comm, op, addr, frame)
            if behind > row:
                row = behind - 1
                finish_event(s, row)
                continue
        start = page_below(addr[row])
        size = 0 if length[row] == NOT_GIVEN and code != OP_TOUCH else length[row]
        if code == OP_TOUCH and length[row] == NOT_GIVEN:
            size = 1
        end = page_end(addr[row], size)
        new_size = length[row] if new_len[row] == NOT_GIVEN else new_len[row]
        new_pages = page_end(0, new_size)
        glob.populates = 1 if code == OP_MLOCK or flags[row] & MAP_LOCKED else 0
        is_fault = code == OP_READ_FAULT or code == OP_WRITE_FAULT
        if is_fault and faults_to_come > 0:
            faults_to_come -= 1
        elif event_has_room(s, code, pid[row], child[row], size, max(end - start, new_pages), end - start):
            faults_to_come = FAULTS_AT_ONCE - 1 if is_fault else 0
        else:
            return row
        glob.event += 1
        glob.ts = ts[row]
        glob.op = code
        if glob.event == 1:
            glob.first_ts = ts[row]
        glob.last_ts = ts[row]
        glob.spans_before = s.ints[4 * LOG_SPANS + REGION_ROWS]
        glob.proc = NULL
        if code < OP_RECLAIM or (code == OP_RECLAIM and file[row] != 0):
            state_may_change(s)

        if code == OP_LOST:
            log_diagnostic(s, DIAG_LOST, NULL, 0, size, 0)
        elif code == OP_SCAN:
            scan(s, size)
        elif code == OP_EXIT:
            glob.proc = find_process(s, pid[row])
            name_process(s, comm[row])
            do_exit(s, pid[row])
        elif code == OP_MARK:
            pass
        elif code == OP_FORK and (child[row] < 0 or child[row] == pid[row]):
            log_diagnostic(s, DIAG_BAD_FORK, NULL, 0, pid[row], child[row])
        elif code == OP_RECLAIM and addr[row] == NOT_GIVEN and frame[row] == NOT_GIVEN and file[row] != 0:
            reclaim_file_page(s, file[row], max(pgoff[row], 0))
        elif code >= OP_RECLAIM and code <= OP_SWAP_OUT:
            if addr[row] != NOT_GIVEN:
                glob.proc = find_process(s, pid[row])
            page = named_page(s, glob.proc, addr[row], start, frame[row])
            if page != NULL:
                if code == OP_RECLAIM:
                    shrink_page(s, page)
                elif code == OP_REFERENCED:
                    page_referenced(s, page)
                else:
                    swap_out_page(s, page, code == OP_SWAP_OUT)
        else:
            glob.proc = process_of(s, pid[row])
            name_process(s, comm[row])
            mm = s.proc[glob.proc].mm
            if is_fault:
                fault(s, mm, start, code == OP_WRITE_FAULT, frame[row])
            elif code == OP_TOUCH:
                touch(s, mm, start, end)
            elif code == OP_MMAP:
                do_mmap_pgoff(
                    s, mm, start, end, prot[row] & VM_ACCESS, flags[row], file[row], max(pgoff[row], 0)
                )
            elif code == OP_MUNMAP:
                do_munmap(s, mm, start, end)
            elif code == OP_MPROTECT:
                sys_mprotect(s, mm, start, end, prot[row] & VM_ACCESS)
            elif code == OP_BRK:
                sys_brk(s, mm, page_below(addr[row] + PAGE_ROUND))
            elif code == OP_MADVISE:
                sys_madvise(s, mm, start, end, flags[row])
            elif code == OP_MLOCK or code == OP_MUNLOCK:
                bug = sys_mlock(s, mm, start, end, code == OP_MLOCK)
                if bug != 0:
                    glob.bugs += 1
                    log_diagnostic(s, DIAG_BUG, glob.proc, start, bug, 0)
            elif code == OP_MREMAP:
                target = start if new_addr[row] == NOT_GIVEN else page_below(new_addr[row])
                do_mremap(s, mm, start, end - start, new_pages, target, flags[row])
            elif code == OP_FORK:
                do_fork(s, glob.proc, child[row], flags[row])
            elif code == OP_EXEC:
                do_exec(s, glob.proc)
            elif code == OP_VMA:
                special = VM_DONTEXPAND if file[row] & FILE_SPECIAL else 0
                standing_vma(
                    s, mm, start, end, prot[row] & VM_ACCESS, flags[row], file[row], pgoff[row], special
                )
        finish_event(s, row)
    return last


@kernel
def name_process(s, comm):
    """Remember the latest name of the event's process."""
    if comm >= 0 and s.glob[0].proc != NULL:
        s.proc[s.glob[0].proc].comm = comm
