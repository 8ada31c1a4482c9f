"""A scrollbar that is painted at once: Textual takes as long for a line of its own as for one of text."""

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

from screens.widgets.strips import veiled


class SlimBar(ScrollBar):
    """Vertical; it has neither border nor padding."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Few of its lines differ: each kind is made once."""
        bar = self.render()
        if veiled(self) or not isinstance(bar, ScrollBarRender) or not isinstance(bar.style, Style):
            return super().render_lines(crop)
        colours = bar.style
        if colours.color is None or colours.bgcolor is None:
            return super().render_lines(crop)
        found = self.renderer.render_bar(
            size=self.size.height,
            virtual_size=bar.virtual_size,
            window_size=bar.window_size,
            position=bar.position,
            thickness=bar.thickness,
            vertical=True,
            back_color=colours.bgcolor,
            bar_color=colours.color,
        )
        lines: list[Segment] = list(found.segments)
        kinds: dict[int, Strip] = {}
        for line in lines:
            if id(line) not in kinds:
                strip = Strip(Segment.apply_style([line], self.visual_style.rich_style), bar.thickness)
                for one in self.get_line_filters():
                    strip = strip.apply_filter(one, self.background_colors[1])
                kinds[id(line)] = strip
        return [kinds[id(line)] for line in lines[crop.y : crop.bottom]]
