"""Threads, locks, forks and the guard: what keeps driftline from its host."""
