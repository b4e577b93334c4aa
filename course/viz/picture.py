"""Pictures that show wherever a notebook is shown: in the browser, trusted or not, and exported."""

import base64
import hashlib
import html
import io
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Picture:
    """An image with a text alternative.

    A notebook shows it as an `<img>` whose bytes are in the page. That form, unlike an inline
    `<svg>`, also shows in notebooks that the browser does not trust; it needs no script, and its
    white background holds in dark themes.

    Attributes:
        alt: what the picture says, in words; also its `repr`.
        image: the bytes of the image; None if it could not be drawn: then `table` is shown.
        mime: what the bytes are.
        table: the same content as plain text, for machines that cannot draw.
        width: the width to show it at, in pixels; None for the image's own. It is never shown
            wider than the page.
    """

    alt: str
    image: bytes | None
    mime: str = "image/svg+xml"
    table: str = ""
    width: int | None = None

    @classmethod
    def from_figure(cls, figure: "Figure", alt: str) -> "Picture":
        """The picture of a matplotlib figure, which is closed, so that it is not shown twice.

        Args:
            figure: any figure.
            alt: what it shows, in words, for those who do not see it.

        Raises:
            TypeError: if figure is something else, such as an Axes.
            ValueError: if alt is empty.
        """
        from matplotlib.figure import Figure  # takes a second, so only when a figure is drawn

        if not isinstance(figure, Figure):
            remedy = "Pass the figure: fig, ax = plt.subplots() gives it, and so does ax.figure."
            raise TypeError(
                f"Picture.from_figure needs a matplotlib Figure, and got a {type(figure).__name__}. {remedy}"
            )
        if not alt.strip():
            raise ValueError("alt is empty: say in words what the figure shows.")
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="png", dpi=144, facecolor="white", metadata={"Software": None}
        )
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close(figure)
        width = round(figure.get_figwidth() * 96)  # CSS pixels; the 144 dpi serve sharper screens
        return cls(alt, buffer.getvalue(), mime="image/png", width=width)

    def _repr_html_(self) -> str:
        if self.image is None:
            return f"<pre>{html.escape(repr(self))}</pre>"
        source = f"data:{self.mime};base64,{base64.b64encode(self.image).decode()}"
        width = f' width="{self.width}"' if self.width else ""
        alt = html.escape(self.alt)
        return f'<img alt="{alt}" style="background:#fff;max-width:100%"{width} src="{source}">'

    def __repr__(self) -> str:
        return f"{self.alt}\n\n{self.table}" if self.image is None and self.table else self.alt


@dataclass(frozen=True, repr=False)
class Steps:
    """Pictures of which one is open at a time; its caption opens each one. Made by `steps`."""

    pictures: tuple[Picture, ...]
    captions: tuple[str, ...]
    name: str

    def _repr_html_(self) -> str:
        # display: some style sheets (nbgrader's feedback) take the triangle away from a summary.
        frames = [
            f'<details name="{self.name}"{" open" if i == 0 else ""}>'
            f'<summary style="display:list-item;padding:4px 0">{html.escape(caption)}</summary>'
            f"{picture._repr_html_()}</details>"
            for i, (picture, caption) in enumerate(zip(self.pictures, self.captions))
        ]
        return f"<div>{''.join(frames)}</div>"

    def __repr__(self) -> str:
        return "\n".join(self.captions)


_shown_before: Counter[str] = Counter()


def steps(pictures: Sequence[Picture], captions: Sequence[str]) -> Steps:
    """Pictures to step through: a list of captions, of which one is open and shows its picture.

    It needs no script. Tab and Enter work as the mouse does, and opening one closes the other
    (except in a notebook that is not trusted: there several can be open).

    Args:
        pictures: the frames, in order; the first is open.
        captions: one for each picture.

    Raises:
        ValueError: if there are no pictures, or not as many captions as pictures.
    """
    if len(pictures) != len(captions) or not pictures:
        raise ValueError(
            "steps needs one caption for each picture, and at least one of both: "
            f"got {len(pictures)} pictures and {len(captions)} captions."
        )
    # Two steppers with one name on a page would close each other. A name made of the content is
    # the same every time a notebook is run; the count tells two equal ones in it apart.
    content = "".join(c + p._repr_html_() for p, c in zip(pictures, captions))
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    _shown_before[digest] += 1
    return Steps(tuple(pictures), tuple(captions), f"steps-{digest}-{_shown_before[digest]}")
