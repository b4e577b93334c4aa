"""Looking on while a model learns: functions for `Trainer.on_step` and `Trainer.on_evaluation`."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

from IPython.display import display

from course.gpt.trainer import Trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # without ipywidgets, the bar is made of characters: fine
    from tqdm.auto import tqdm


class ProgressBar:
    """A bar that grows with each step, and tells the loss and how long the rest will take.

        trainer.on_step.append(ProgressBar())

    The bar begins where the trainer is, and is closed with the last step; if the training goes on later, there is a new one.
    """

    def __init__(self) -> None:
        self.bar: Any = None

    def __call__(self, trainer: Trainer) -> None:
        """One step was made."""
        if self.bar is None:
            before = trainer.step - 1
            total = trainer.config.steps
            self.bar = tqdm(
                total=total, initial=before, unit="step", mininterval=0.5, file=sys.stdout
            )
        self.bar.set_postfix(loss=f"{trainer.losses[-1]:.3f}", refresh=False)
        self.bar.update()
        if trainer.step == trainer.config.steps:
            self.bar.close()
            self.bar = None


def live(draw: Callable[[Trainer], Any]) -> Callable[[Trainer], None]:
    """Show a picture that is drawn anew, in the same place, each time.

        trainer.on_evaluation.append(live(lambda trainer: loss_curve(trainer.losses)))

    Args:
        draw: from the trainer to something that a notebook can show.
    """
    handle: Any = None

    def show(trainer: Trainer) -> None:
        nonlocal handle
        picture = draw(trainer)
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)

    return show
