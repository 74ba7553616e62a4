"""`tinydiff evaluate`: samples beside real images, as numbers and pictures."""

from commands import fails

from tinydiff.apps.cli import main


def test_evaluate_prints_samples_beside_real_images(trained, tmp_path, capsys, monkeypatch):
    from tinydiff.evaluate import samples
    from tinydiff.networks import Classifier, ClassifierConfig

    monkeypatch.setattr(samples, "load", lambda name, kind: Classifier(ClassifierConfig(8, channels=(4,))))
    arguments = ["evaluate", "--model", str(trained), "--data", "digits", "--n", "30", "--steps", "2"]
    arguments += ["--classifier", "stand-in"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "Fréchet distance to 30 test images" in text
    assert "test loss (v) by timestep" in text
    assert {p.name for p in tmp_path.iterdir()} == {"samples.png", "nearest.png", "loss_by_timestep.png"}
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert f"those of this one are in {tmp_path / '2'}." in capsys.readouterr().out
    assert (tmp_path / "2" / "samples.png").is_file()
    fails(capsys, ["evaluate", "--model", str(trained)], 2, "No classifier of digits ships", "of 8 x 8", "--classifier")
