"""What is left where a command cannot say or save what it made, and where several write into one folder at once."""

import os
import threading

import pytest
from commands import TINY, fails

from tinydiff.apps import cli
from tinydiff.apps.cli import demo as demo_command
from tinydiff.apps.cli import main
from tinydiff.apps.cli.drawings import kept_folder
from tinydiff.base import DataError, FolderLock
from tinydiff.evaluate import report as reports

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
EVALUATE = ["--data", "digits", "--n", "4", "--steps", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["info"], ["sample", "--help"]])
def test_a_full_disk_for_what_is_said_is_one_sentence(arguments, run_apart):
    with open("/dev/full", "w") as full:
        done = run_apart(arguments, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "tinydiff: What is said here cannot be written: No space left on device.\n"


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["sample", "--n", "x"], 2)])
def test_a_refusal_that_cannot_be_said_has_its_status(arguments, status, run_apart):
    with open("/dev/full", "w") as full:
        assert run_apart(arguments, stderr=full).returncode == status


@pytest.mark.parametrize("command", [
    ["sample"], ["edit", "--image", "nope.png"], ["evaluate", *EVALUATE], ["demo", "--steps", "1"], ["train", *TINY],
])  # fmt: skip
def test_a_folder_that_cannot_be_made_is_a_sentence(command, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    if command[0] == "edit":
        assert main(["sample", "--model", str(trained), "--n", "1", "--steps", "1"]) == 0
        command = ["edit", "--image", "samples/pictures/000.png"]
    model = ["--model", str(trained)] if command[0] in ("sample", "edit", "evaluate") else []
    fails(capsys, [*command, *model, "--out", "file/out"], 2, "file/out cannot be written")


@pytest.mark.slow
def test_a_report_is_said_also_where_its_pictures_cannot_be_saved(trained, tmp_path, capsys, monkeypatch):
    def full(*arguments, **options):
        raise DataError("nearest.png cannot be written: the disk is full.")

    monkeypatch.setattr(reports.plot, "neighbour_rows", full)
    assert main(["evaluate", "--model", str(trained), *EVALUATE, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "Fréchet distance to 4 real pictures" in said.out
    assert said.err == "tinydiff: nearest.png cannot be written: the disk is full.\n"


@pytest.mark.slow
def test_two_reports_at_once_have_a_folder_each(trained, tmp_path, capsys):
    with kept_folder(tmp_path, ("samples.png",)) as first:
        assert first == tmp_path
        assert main(["evaluate", "--model", str(trained), *EVALUATE, "--out", str(tmp_path)]) == 0
    assert "those of this one are in" in capsys.readouterr().out
    assert not (tmp_path / "samples.png").exists()
    assert (tmp_path / "2" / "samples.png").is_file()


def test_many_at_once_have_a_folder_each(tmp_path):
    """Also where one ends between the look and the lock of another."""
    taken, together = [], threading.Barrier(8)

    def take():
        together.wait()
        for _ in range(4):
            with kept_folder(tmp_path, ("a.png",)) as folder:
                taken.append(folder)
                with open(folder / "a.png", "x"):  # an error if it is there already
                    pass

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 32


def test_a_demo_leaves_an_earlier_one_as_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo_command, "run_demo", lambda out, *how: (out / "loss.png").write_text("mine"))
    for _ in range(2):
        assert main(["demo", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "2" / "loss.png").is_file()
    assert f"{tmp_path} holds the pictures of another demo" in capsys.readouterr().out
    with FolderLock(tmp_path / "3"):
        assert main(["demo", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "4" / "loss.png").is_file()


def test_commands_say_everything_through_one_function():
    """Which shows what a terminal would obey, such as in the name of a class or of a folder."""
    folder = os.path.dirname(cli.__file__)
    for root, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".py") and name != "screen.py":
                with open(os.path.join(root, name), encoding="utf-8") as file:
                    assert " print(" not in file.read(), name
