"""`tinydiff demo`: it deletes nothing."""

from commands import fails


def test_the_demo_deletes_nothing_and_refuses_bad_arguments_at_once(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    fails(capsys, ["demo", "--steps", "0", "--out", str(tmp_path)], 2, "--steps is 0")
    assert [p.name for p in tmp_path.rglob("*")] == ["run", "thesis.txt"]
