"""Pictures of rings of any size: nothing covers anything else, and seats are told apart."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from brigade.env.render import Snapshot, picture
from brigade.env.render import palette as p
from brigade.env.render.canvas import Canvas
from brigade.env.render.marks import SHAPES, draw_mark, seat_shape
from brigade.env.render.ring import CENTRE, Ring, place_agents
from brigade.env.render.snapshot import BURNING, RUINED, SAFE

SIZES = [
    (2, 1),
    (3, 2),
    (3, 32),
    (10, 4),
    (24, 8),
    (24, 32),
    (40, 16),
    (64, 32),
    (64, 64),
    (100, 40),
]


def moment(num_houses, num_agents, **change):
    seats = range(num_agents)
    snapshot = Snapshot(
        scenario="default",
        night=12,
        houses=(SAFE,) * num_houses,
        fire_progress=(0.0,) * num_houses,
        homes=tuple(seat % num_houses for seat in seats),
        positions=tuple(seat * 7 % num_houses for seat in seats),
        working=tuple(seat % 3 > 0 for seat in seats),
        signals=tuple(seat % 2 > 0 for seat in seats),
        rewards=(-1.0,) * num_agents,
        returns=(100.0,) * num_agents,
    )
    return dataclasses.replace(snapshot, **change)


def around(image, at, size):
    """The pixels of a square of ``size`` around a point, which must lie in the image."""
    x, y = at
    left, right, top, bottom = (
        math.floor(v) for v in (x - size / 2, x + size / 2, y - size / 2, y + size / 2)
    )
    assert left >= 0
    assert top >= 0
    assert right < image.shape[1]
    assert bottom < image.shape[0]
    return image[top : bottom + 1, left : right + 1].astype(int)


def count_of(pixels, colour, tolerance=24):
    return int((np.abs(pixels - colour).max(axis=2) <= tolerance).sum())


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 1500))
def test_no_two_numbers_of_houses_overlap_and_all_are_in_the_frame(num_houses):
    ring = Ring.of(num_houses)
    labels = ring.labels()
    assert 0 in labels
    if num_houses <= 64:
        assert len(labels) == num_houses
    font = ImageFont.load_default(round(2 * ring.label_size))
    boxes = []
    for house, (x, y) in labels.items():
        left, top, right, bottom = font.getbbox(str(house), anchor="mm")
        boxes.append((x + left / 2, y + top / 2, x + right / 2, y + bottom / 2))
        assert min(boxes[-1]) >= 0
        assert max(boxes[-1]) <= 640
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 130), st.integers(1, 48))
def test_agents_of_any_game_cover_neither_each_other_nor_houses_nor_the_middle(
    data, num_houses, num_agents
):
    few = data.draw(st.integers(1, num_houses))
    houses = data.draw(st.lists(st.integers(0, few - 1), min_size=num_agents, max_size=num_agents))
    ring = Ring.of(num_houses)
    places = place_agents(ring, houses)
    half = places.size / 2
    boxes = [(x - half, y - half, x + half, y + half) for x, y in places.points]
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for house, point in zip(houses, places.points, strict=True):
        distance = math.dist(point, CENTRE)
        assert ring.inner + half <= distance <= ring.outer - half
        # Before its own house: never further round the ring than a quarter of it.
        ray = ring.at(house, distance)
        assert math.dist(point, ray) <= 2 * distance * math.sin(math.pi / 8) + 2
    assert places.size >= 12


@pytest.mark.parametrize(("num_houses", "num_agents"), SIZES)
def test_every_house_its_owner_and_its_state_is_visible(num_houses, num_agents):
    ring = Ring.of(num_houses)
    safe, burning, ruined = (
        picture(moment(num_houses, num_agents, houses=(state,) * num_houses))
        for state in (SAFE, BURNING, RUINED)
    )
    for house in range(num_houses):
        at, size = ring.house(house), ring.house_size
        colour = p.seat_colour(house % num_agents)
        area = size**2
        assert count_of(around(safe, at, size), colour) > 0.05 * area
        assert count_of(around(safe, ring.mark(house), ring.mark_size), colour) > (
            0.12 * ring.mark_size**2
        )
        pixels = [around(image, at, size) for image in (safe, burning, ruined)]
        for one, other in itertools.combinations(pixels, 2):
            assert (np.abs(one - other).max(axis=2) > 40).sum() > 0.2 * area


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize(("num_houses", "num_agents"), SIZES)
def test_every_seat_is_visible(num_houses, num_agents, crowded):
    snapshot = moment(num_houses, num_agents)
    if crowded:
        snapshot = dataclasses.replace(snapshot, positions=(num_houses - 1,) * num_agents)
    places = place_agents(Ring.of(num_houses), snapshot.positions)
    image = picture(snapshot)
    other = picture(
        dataclasses.replace(snapshot, working=tuple(not work for work in snapshot.working))
    )
    for seat, point in enumerate(places.points):
        area = places.size**2
        pixels = around(image, point, places.size)
        assert count_of(pixels, p.seat_colour(seat)) > 0.04 * area
        changed = np.abs(pixels - around(other, point, places.size)).max(axis=2) > 40
        assert changed.sum() > 0.03 * area


def mark(seat):
    canvas = Canvas.blank(40, 40)
    draw_mark(canvas, (20, 20), 32, seat, numbered=False)
    return canvas.pixels().astype(int)


def test_the_marks_of_64_seats_differ_by_colour_or_shape():
    marks = [mark(seat) for seat in range(64)]
    for one, other in itertools.combinations(marks, 2):
        assert (np.abs(one - other).max(axis=2) > 40).sum() > 60
    for seat in range(64):
        assert seat_shape(seat) != seat_shape(seat + 1)


def test_shapes_differ_without_colours():
    masks = {seat_shape(seat): mark(seat).sum(axis=2) > 150 for seat in range(len(SHAPES))}
    assert len(masks) == len(SHAPES)
    for one, other in itertools.combinations(masks.values(), 2):
        assert (one & other).sum() < 0.85 * (one | other).sum()


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency" (2009), full severity, in linear RGB.
VISION = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanope": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour):
    share = np.array(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = to_xyz @ rgb / np.array([0.9505, 1.0, 1.089])
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_seats_differ_with_any_colour_vision(vision):
    seen = [lab(np.clip(VISION[vision] @ linear(colour), 0, 1)) for colour in p.SEATS]
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) >= 15  # 2.3 is a just noticeable difference


@pytest.mark.parametrize("num_houses", [3, 10, 24, 64])
def test_the_more_of_a_fire_is_put_out_the_longer_the_bar_and_the_lower_the_flames(num_houses):
    ring = Ring.of(num_houses)
    bars, flames = [], []
    for progress in (0.0, 0.3, 0.6, 0.9):
        snapshot = moment(
            num_houses,
            1,
            houses=(BURNING,) * num_houses,
            fire_progress=(progress,) * num_houses,
            positions=(0,),
        )
        image = picture(snapshot)
        house = num_houses // 2
        bars.append(
            count_of(around(image, ring.at(house, ring.bar_radius), ring.house_size), p.WATER)
        )
        pixels = around(image, ring.house(house), ring.house_size)
        flames.append(sum(count_of(pixels, c, 40) for c in (p.FLAME_OUTER, p.FLAME_MIDDLE)))
    assert bars[0] == 0
    assert bars == sorted(set(bars))
    assert flames == sorted(flames, reverse=True)
    assert flames[-1] < 0.8 * flames[0]


def test_a_picture_does_not_depend_on_those_before_it():
    rings = [moment(num_houses, num_agents) for num_houses, num_agents in SIZES]
    first = [picture(snapshot) for snapshot in rings]
    again = [picture(snapshot) for snapshot in reversed(rings)][::-1]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)


def test_a_ring_and_team_of_hundreds_are_drawn():
    image = picture(moment(1000, 300))
    assert image.shape == (640, 960, 3)
