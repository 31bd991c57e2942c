"""`pytest --nbval-lax` compares the text of the checked cells; their HTML is tested where it is made.

Each worker forks its kernels from one process that has imported what notebooks import, where that can be; ``--cold``
starts each kernel by itself.
"""

import os
from contextlib import ExitStack
from pathlib import Path

from jupyter_client.provisioning import KernelProvisionerFactory

from salesops.engine import execute, limits, warm

HERE = Path(__file__).parent
os.environ["SALESOPS_REPORTS"] = os.devnull  # what was published here before is no part of the sample
os.environ["SALESOPS_NOTES"] = os.devnull  # nor is what people wrote about it
os.environ["SALESOPS_CACHE"] = "off"  # every cell does its own work


class _Factory(KernelProvisionerFactory):
    """Has kernels forked, whoever starts them: Jupyter knows one factory in a process."""

    def __init__(self, *, zygote: warm.Zygote):
        super().__init__()
        self.told = zygote.provisioner(limits.Guard())

    def create_provisioner_instance(self, kernel_id, kernel_spec, parent):
        kernel_spec.metadata["kernel_provisioner"] = self.told
        return super().create_provisioner_instance(kernel_id, kernel_spec, parent)


def pytest_addoption(parser):
    parser.addoption("--cold", action="store_true", help="start each kernel by itself")


def pytest_configure(config):
    os.environ.update(execute.kernel_environment())  # a kernel is forked in the environment of who forks it
    held = ExitStack()
    config.add_cleanup(held.close)
    books = sorted(HERE.glob("*.ipynb"))
    if zygote := held.enter_context(warm.zygote(books, os.environ, cwd=HERE, is_wanted=not config.option.cold)):
        held.callback(_Factory.clear_instance)
        _Factory.instance(zygote=zygote)


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html",)
