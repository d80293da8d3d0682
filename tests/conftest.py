"""What all tests share: the folder of real data, and a count of the tests that ran on it."""

import os
from pathlib import Path

import pytest

from tellvision import cli

_ran_on_real_data: list[str] = []


@pytest.fixture
def real_data(request):
    """The folder named by TELLVISION_TEST_DATA; without it the test is skipped, saying so."""
    folder = os.environ.get("TELLVISION_TEST_DATA")
    if not folder:
        pytest.skip("TELLVISION_TEST_DATA names no folder of real data")
    _ran_on_real_data.append(request.node.nodeid)
    return Path(folder)


@pytest.fixture
def tellvision(capsys):
    """Run a command here, in this process; returns its exit status, stdout and stderr."""

    def call(*words):
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"{len(_ran_on_real_data)} tests ran on real data")
