"""What trainings that go on with a trained model have in common: there is one, and its shape is not changed."""

from dataclasses import dataclass

from tinydiff.apps.cli.options import refuse_given
from tinydiff.apps.cli.train.denoise import Train
from tinydiff.apps.cli.train.start_from import refuse_other_shape
from tinydiff.base import InputError, to_table
from tinydiff.models import DiffusionModel, Enlarger, Prior, load


@dataclass(frozen=True)
class OfTeacher(Train):
    """The options of a training that starts from a model, and keeps its shape."""

    def teacher(self, why: str) -> DiffusionModel:
        """Return the model to start from; refuse what it does not draw, and what was given of another shape.

        Parameters
        ----------
        why : str
            What becomes of the model, for errors.
        """
        if self.start_from is None:
            raise InputError(f"start_from is missing: give the model that {why}, a shipped one or a folder.")
        refuse_given(self, "enlarges", "a model is taken that draws whole pictures: leave it out")
        start = load(self.start_from, kind=DiffusionModel)
        if isinstance(start, (Enlarger, Prior)):
            raise InputError(f"start_from is {self.start_from!r}, but a model that draws whole pictures was expected.")
        start.check_draws()
        refuse_other_shape(self, to_table(start.config))
        return start
