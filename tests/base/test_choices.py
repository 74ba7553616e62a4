"""Lists of things by name."""

import sys

import pytest

from tinydiff.base import Choices, InputError, import_modules


def test_a_known_name_gives_its_thing_in_the_order_of_registration():
    colours = Choices("colour", {"red": 1})
    colours["green"] = 2
    assert colours["red"] == 1
    assert list(colours) == ["red", "green"]
    assert "blue" not in colours
    assert list(Choices("colour")) == []


@pytest.mark.parametrize("name", ["blue", None, 3, ["red"], {"red": 1}])
def test_an_unknown_name_gets_one_sentence_that_lists_the_names(name):
    with pytest.raises(InputError, match=r"^colour is .*, but one of 'red', 'green' was expected\.$"):
        Choices("colour", {"red": 1, "green": 2})[name]


def test_every_module_of_a_package_is_imported(tmp_path, monkeypatch):
    package = tmp_path / "a_package_of_two"
    package.mkdir()
    (package / "__init__.py").write_text("FOUND = []\n")
    for name in ("first", "second"):
        (package / f"{name}.py").write_text(f"from a_package_of_two import FOUND\n\nFOUND.append({name!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    import a_package_of_two

    import_modules("a_package_of_two")
    import_modules("a_package_of_two")  # once is enough
    assert a_package_of_two.FOUND == ["first", "second"]
    for name in ("", ".first", ".second"):
        del sys.modules[f"a_package_of_two{name}"]
