"""Plots as SVG, drawn by hand: bars side by side, and lines over a number. No scripts, no fonts, no library."""
import math
from xml.sax.saxutils import escape

COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#775494", "#5b5f66", "#2e4057")
WIDTH, LEFT, TOP, BOTTOM = 960, 70, 60, 60


class Drawing:
    """Pieces of one picture."""

    def __init__(self, title, height):
        self.height = height
        self.pieces = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                       f'font-family="sans-serif" font-size="12">',
                       '<rect width="100%" height="100%" fill="white"/>']
        self.text(WIDTH / 2, 22, title, "middle", 15)

    def text(self, x, y, words, anchor="start", size=12):
        self.pieces.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
                           f'{escape(str(words))}</text>')

    def bar(self, x, y, width, height, colour):
        self.pieces.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, points, colour, width=2):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.pieces.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def legend(self, names):
        x = LEFT
        for i, name in enumerate(names):
            self.bar(x, 34, 10, 10, COLOURS[i % len(COLOURS)])
            self.text(x + 14, 43, name)
            x += 30 + 7 * len(name)

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.pieces + ["</svg>\n"]))


def nice_top(value):
    """The next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1
    unit = 10 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)


def bars(path, title, groups):
    """groups: [(name, [(subject, (median, least, most) or None)])], one row of bars each."""
    subjects = list(dict.fromkeys(subject for _, row in groups for subject, _ in row))
    row_height = 14 * len(subjects) + 26
    drawing = Drawing(title, TOP + row_height * len(groups) + 20)
    drawing.legend(subjects)
    for i, (name, row) in enumerate(groups):
        top = TOP + i * row_height
        most = max([three[2] for _, three in row if three] or [1])
        drawing.text(10, top + 12, name, size=13)
        for subject, three in row:
            at = subjects.index(subject)
            y = top + 18 + at * 14
            if not three:
                continue
            scale = (WIDTH - LEFT - 190) / most
            drawing.bar(LEFT, y, three[0] * scale, 11, COLOURS[at % len(COLOURS)])
            drawing.line([(LEFT + three[1] * scale, y + 5.5), (LEFT + three[2] * scale, y + 5.5)], "black", 1)
            drawing.text(LEFT + three[2] * scale + 6, y + 10, f"{three[0]:.4g}", size=11)
    drawing.save(path)


def lines(path, title, x_name, y_name, series):
    """series: [(name, [(x, (median, least, most))])]; x in equal steps, as the points come."""
    xs = list(dict.fromkeys(x for _, points in series for x, _ in points))
    top_value = nice_top(max([three[2] for _, points in series for _, three in points if three] or [1]))
    drawing = Drawing(title, 420)
    drawing.legend([name for name, _ in series])
    floor = 420 - BOTTOM
    step = (WIDTH - LEFT - 40) / max(len(xs) - 1, 1)

    def place(x, value):
        return LEFT + xs.index(x) * step, floor - value / top_value * (floor - TOP)

    for i in range(6):
        value = top_value * i / 5
        y = place(xs[0], value)[1]
        drawing.line([(LEFT, y), (WIDTH - 40, y)], "#dddddd", 1)
        drawing.text(LEFT - 6, y + 4, f"{value:.4g}", "end")
    for x in xs:
        drawing.text(place(x, 0)[0], floor + 18, x, "middle")
    drawing.text(WIDTH / 2, 410, x_name, "middle")
    drawing.text(10, TOP - 4, y_name)
    for i, (_, points) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        drawing.line([place(x, three[0]) for x, three in points if three], colour)
        for x, three in points:
            if three:
                drawing.line([place(x, three[1]), place(x, three[2])], colour, 1)
    drawing.save(path)
