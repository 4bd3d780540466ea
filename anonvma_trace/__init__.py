"""Replay memory-management traces under the kernel's reverse-mapping schemes and see what they cost."""
