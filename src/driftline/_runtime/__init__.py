"""Threads, locks, forks, files and checks of arguments: everything that keeps driftline from disturbing its host."""
