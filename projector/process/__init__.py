"""The life of a process: signals and the garbage collector."""
