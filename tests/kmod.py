# SPDX-License-Identifier: GPL-2.0
"""Load and unload modules, without a process for each of them."""
import ctypes
import errno
import os
import sys
import time

NR_FINIT_MODULE, NR_DELETE_MODULE = 313, 176
PATCHES = '/sys/kernel/livepatch'
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *args):
    """Return the name of the error of a system call, or None."""
    if not libc.syscall(number, *args):
        return None
    return errno.errorcode[ctypes.get_errno()]


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    """Return the name of the error of writing to a file, or None."""
    # A file of Python's would write again what could not be written.
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as err:
        return errno.errorcode[err.errno]
    return None


def wait(what, condition):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            sys.exit(f'waited in vain: {what}')
        time.sleep(0.001)


def image(modules, name):
    """Return a module of the tests, which are in a directory."""
    with open(f'{modules}/{name.replace("_", "-")}.ko', 'rb') as file:
        return file.read()


def in_memory(image):
    """Return a file that the loader accepts: nobody has it open for writing."""
    fd = os.memfd_create('module')
    os.write(fd, image)
    readable = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
    os.close(fd)
    return readable


def load(image):
    fd = in_memory(image)
    err = call(NR_FINIT_MODULE, fd, b'', 0)
    os.close(fd)
    return err


def wait_gone(patch):
    """Wait for a patch that is not enabled any more to be given back."""
    wait(patch, lambda: not os.path.exists(f'{PATCHES}/{patch}'))


def disable(patch):
    err = write(f'{PATCHES}/{patch}/enabled', '0')
    if not err:
        wait_gone(patch)
    return err


def remove(name):
    """Unload a module that nobody uses, or soon nobody."""
    try:
        wait(name, lambda: int(read(f'/sys/module/{name}/refcnt')) == 0)
    except OSError as err:
        return errno.errorcode[err.errno]
    return call(NR_DELETE_MODULE, name.encode(), os.O_NONBLOCK)


def left_behind():
    """Patches, and modules of the tests but what they work on."""
    modules = [line.split()[0] for line in read('/proc/modules').splitlines()]
    return os.listdir(PATCHES) + [
        name for name in modules
        if name.startswith('lpt_') and name not in ('lpt_target', 'lpt_base')]


def unload(what):
    """Undo what one module did that was loaded."""
    for patch in os.listdir(PATCHES):
        # Somebody can be in the way, but not for long.
        wait(patch, lambda patch=patch: disable(patch) != 'EBUSY')
    for name in left_behind():
        err = remove(name)
        if err:
            sys.exit(f'{what}: {name} stays: {err}')


def target():
    """What the functions that are patched return."""
    where = '/sys/module/lpt_target/parameters/'
    return [read(where + name) for name in ('versions', 'secret', 'keys', 'call')]


class Log:
    """What the kernel says."""

    def __init__(self):
        self.fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
        self.complaints = []
        self.lines()
        self.complaints = []

    def lines(self):
        lines = []
        while True:
            try:
                lines.append(os.read(self.fd, 8192).decode(errors='replace')
                             .split(';', 1)[1].split('\n')[0])
            except BlockingIOError:
                # Who gets no memory leaves a trace as well, and it is no fault.
                self.complaints += [line for line in lines if any(
                    word in line for word in ('BUG', 'WARNING', 'Oops'))]
                return lines
            except BrokenPipeError:
                continue
