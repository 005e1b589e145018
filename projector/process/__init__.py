"""The life of a process: signals, delays between tries, and the garbage collector."""
