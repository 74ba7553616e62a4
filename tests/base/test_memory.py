"""How much memory can be had: the smallest of what the machine, the control group and the user say."""

import math

import pytest

from tinydiff.base import InputError, available_memory, check_memory, memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a folder of the files that the system would have: 8 GiB available on the machine, no groups yet."""
    (tmp_path / "groups").mkdir()
    (tmp_path / "meminfo").write_text(f"MemTotal: {16 * 2**20} kB\nMemAvailable: {8 * 2**20} kB\nSwapFree: 0 kB\n")
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_of_process", lambda: math.inf)
    monkeypatch.delenv("TINYDIFF_MEMORY", raising=False)
    return tmp_path


def write_group(folder, names, limit, taken, droppable):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{taken}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {droppable}\n")


@pytest.mark.parametrize(("names", "line", "root"), [
    (memory.GROUP_FILES[0], "0::/jobs/one\n", "."),
    (memory.GROUP_FILES[1], "3:cpu:/\n2:memory:/jobs/one\n", "memory"),
])  # fmt: skip
def test_a_limit_of_any_group_above_counts_less_what_cannot_be_dropped(system, names, line, root):
    (system / "cgroup").write_text(line)
    assert available_memory() == 8 * 2**30
    write_group(system / "groups" / root / "jobs" / "one", names, "max" if root == "." else 2**63 - 4096, 5, 0)
    assert available_memory() == 8 * 2**30
    write_group(system / "groups" / root / "jobs", names, 4 * 2**30, 3 * 2**30, 2 * 2**30)
    assert available_memory() == 3 * 2**30


def test_what_the_user_says_counts_and_must_be_a_number(system, monkeypatch):
    monkeypatch.setenv("TINYDIFF_MEMORY", "0.5")
    assert available_memory() == 2**29
    for wrong in ("much", "-1", "nan", "0"):
        monkeypatch.setenv("TINYDIFF_MEMORY", wrong)
        with pytest.raises(InputError, match=r"TINYDIFF_MEMORY is .* a number of GiB"):
            available_memory()


def test_a_system_that_says_nothing_refuses_nothing(system, monkeypatch):
    (system / "meminfo").unlink()
    monkeypatch.setattr(memory.os, "sysconf", lambda name: int("unknown"))
    check_memory(10**30, "n is 1", "ask for less")


def test_the_sentence_says_what_how_much_and_what_to_do(system):
    check_memory(8 * 2**30, "n is 7", "ask for less")
    with pytest.raises(InputError, match=r"n is 8, which takes about 9.0 GiB of memory, but 8.0 GiB .*: ask for less"):
        check_memory(9 * 2**30, "n is 8", "ask for less")
    with pytest.raises(InputError, match="takes about far more"):
        check_memory(10**400, "n is 8", "ask for less")
