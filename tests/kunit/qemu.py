# SPDX-License-Identifier: GPL-2.0
"""How kunit.py runs our kernels: see scripts/kunit, which sets the environment."""

import os

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(
    linux_arch='x86_64',
    kconfig='''
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y''',
    qemu_arch='x86_64',
    kernel_path='arch/x86/boot/bzImage',
    kernel_command_line='console=ttyS0 panic=-1 oops=panic',
    extra_qemu_params=os.environ['KUNIT_QEMU_ARGS'].split())
