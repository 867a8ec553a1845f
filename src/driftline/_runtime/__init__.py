"""Threads, locks, forks, files and checks of arguments, which keep driftline from disturbing its host."""
