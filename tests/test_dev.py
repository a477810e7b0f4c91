"""`dev.py` ends what it has started, and installs for a folder of tests only what these need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dev

WAIT_SECONDS = 20

# A command that starts one that no Ctrl-C ends, says so, and waits.
STARTS_ANOTHER = """
import signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(600)"
started = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
started.stdout.readline()
print(started.pid, flush=True)
time.sleep(600)
"""
# A job of a shell's background begins with Ctrl-C ignored; a person's terminal does not.
RUNS_IT = f"""
import signal, sys, dev
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["dev.py", "example"]
dev.run_example = lambda *_: dev.call([sys.executable, "-c", {STARTS_ANOTHER!r}])
sys.exit(dev.main())
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_a_command_ends_all_that_it_has_started(sent: signal.Signals) -> None:
    command = [sys.executable, "-c", RUNS_IT]
    with subprocess.Popen(command, cwd=dev.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            started = int(process.stdout.readline())
            process.send_signal(sent)
            assert process.wait(WAIT_SECONDS) == 130
        finally:
            process.kill()
    assert is_gone(started)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or does within the time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path("/proc").exists() and "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return True
        time.sleep(0.05)
    return False


def test_a_command_gives_its_exit_status() -> None:
    assert dev.call([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_step_that_fails_is_told_in_its_own_words(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import sys; print('what it did'); sys.exit('why it failed')"
    with pytest.raises(subprocess.CalledProcessError):
        dev.hear([sys.executable, "-c", script])
    assert capfd.readouterr().err == "what it did\nwhy it failed\n"
    assert dev.hear([sys.executable, "-c", "print('done')"]) == "done\n"


def test_what_is_fetched_is_told_with_its_size(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "installed_parts", lambda *_: set())
    monkeypatch.setattr(dev, "create", lambda _: None)
    monkeypatch.setattr(dev, "pip", lambda *_: None)
    environment = dev.Environment(Path("nowhere"), dev.CURRENT.constraints)
    with pytest.raises(FileNotFoundError):  # there is no place for its record
        dev.install(environment, extras=["cli"])
    assert "installing extra cli, package into nowhere (about 83 MB on disk" in capfd.readouterr().err


def test_the_size_of_every_part_that_is_installed_is_known() -> None:
    parts = {f"extra {extra}" for extra in dev.ALL_NEEDS.extras} | {f"group {group}" for group in dev.ALL_GROUPS}

    assert parts - set(dev.MEGABYTES) == set()


def test_the_release_of_a_python_is_told_and_what_is_none_has_none(tmp_path: Path) -> None:
    broken = tmp_path / "python3.10"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)

    assert dev.release_of(sys.executable) == sys.version_info[:2]
    assert dev.release_of(str(broken)) == ()
    assert sys.version_info[:2] in {dev.release_of(python) for python in dev.pythons()}


def test_every_folder_of_tests_is_named_or_needs_everything() -> None:
    assert all(Path(dev.ROOT, folder).is_dir() for folder in dev.TEST_NEEDS)
    assert dev.needs_of([]) == dev.ALL_NEEDS
    assert dev.needs_of(["tests/test_package.py"]) == dev.ALL_NEEDS
    assert dev.needs_of(["tests/unit", "tests/cli/test_tree.py::test_one", "-x"]) == dev.Needs(
        ("cli",), ("test",), True
    )
    assert dev.needs_of(["tests/unit/test_keys.py"]) == dev.TEST_NEEDS["tests/unit"]
