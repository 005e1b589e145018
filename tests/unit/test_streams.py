"""The standard streams of a command while a signal arrives."""

import subprocess
import sys

SIGNAL_WITHIN_A_WRITE = """\
import fcntl, os, signal, sys, threading, time
from projector.process import streams

read_end, write_end = os.pipe()
size = fcntl.fcntl(write_end, fcntl.F_GETPIPE_SZ)
os.dup2(write_end, 2)
os.close(write_end)
streams.take_over()
received = []


def handle(number, frame):
    sys.stderr.write("from the handler\\n")


def read_all():
    time.sleep(0.3)  # until then the write of the main thread fills the pipe and waits
    os.kill(os.getpid(), signal.SIGUSR1)
    while chunk := os.read(read_end, size):
        received.append(chunk)


signal.signal(signal.SIGUSR1, handle)
reader = threading.Thread(target=read_all)
reader.start()
try:
    sys.stderr.write("x" * 4 * size + "\\n")
except RuntimeError as error:
    print(error)
os.close(2)
reader.join()
text = b"".join(received)
print(text.count(b"from the handler"), text.count(b"x") == 4 * size)
"""


def test_handler_of_a_signal_may_write_within_a_write() -> None:
    """The write waits for the reader of a pipe, and the signal interrupts it."""
    done = subprocess.run([sys.executable, "-c", SIGNAL_WITHIN_A_WRITE], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1 True\n"
