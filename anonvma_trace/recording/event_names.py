"""The tracepoints to record, as ``system/event`` below the events directory of tracefs."""

from __future__ import annotations

_SYSCALLS = (
    *("mmap", "munmap", "mprotect", "pkey_mprotect", "mremap", "brk", "madvise", "process_madvise"),
    *("mlock", "mlock2", "munlock", "mlockall", "munlockall", "shmget", "shmat", "shmdt", "remap_file_pages"),
    *("clone", "clone3", "fork", "vfork", "execve", "execveat", "exit", "exit_group"),
)

SYSCALL_EVENTS = tuple(f"syscalls/sys_{edge}_{name}" for name in _SYSCALLS for edge in ("enter", "exit"))
"""Not every kernel and architecture has all of them."""

TASK_EVENTS = (
    "sched/sched_process_fork",
    "sched/sched_process_exec",
    "sched/sched_process_exit",
    "task/task_newtask",
    "task/task_rename",
)
"""Without these nothing tells which process an event belongs to."""

FAULT_EVENTS = ("exceptions/page_fault_user", "exceptions/page_fault_kernel")
"""x86 only."""

FILTERS = {"exceptions/page_fault_kernel": "address < 0x7fffffffffff"}

RECLAIM_EVENTS = (
    *("kmem/rss_stat", "kmem/mm_page_alloc", "kmem/mm_page_free", "kmem/mm_page_free_batched"),
    "mmap/exit_mmap",
    "vmscan/mm_vmscan_lru_isolate",
    "vmscan/mm_vmscan_lru_shrink_inactive",
    "vmscan/mm_vmscan_lru_shrink_active",
    "vmscan/mm_vmscan_write_folio",
    "vmscan/mm_vmscan_writepage",  # its name before Linux 6.3
    *("migrate/set_migration_pte", "migrate/remove_migration_pte", "migrate/mm_migrate_pages"),
)
"""What joins the pages that reclaim takes to the faults that made them; names come and go with kernels."""
