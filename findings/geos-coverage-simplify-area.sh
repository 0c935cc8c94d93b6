#!/usr/bin/env bash
# GEOS's coverage simplification bounds areas, not distances: tolerance 10 cuts off a needle 199 long, keeps a
# bump 1 high, and no tolerance removes an island.
#
# Versions:  shapely 2.2.0 (GEOS 3.14.1)
# Seen:      shapely.coverage_simplify(..., tolerance=10), beside shapely.simplify (Douglas-Peucker) at 10:
#              needle, 1 wide, 199 long   gone: the outline moves by 199; simplify keeps it
#              bump, 1 high, 400 wide     stays; simplify removes it
#              disc of radius 100 inside a square, tolerance 1 to 1,000,000: 83, 17, 5, then 3 corners for
#              good: a triangle of 37 % of the disc's area. It never vanishes; the coverage stays valid.
#            The tolerance is compared with the square root of a triangle's area, as the documentation says
#            of "degree of simplification"; the consequences it leaves to the reader.
# Why:       whoever passes micrometres of tolerated error gets neither that error nor a bound of it. Islands
#            (glands, vessels) lose most of their area before they could be dropped.
# Do:        measure what came out: areas, and shapely.hausdorff_distance; drop small polygons by area beforehand.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet shapely==2.2.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import sys

import shapely
from shapely import Polygon

print(f"shapely {shapely.__version__}, GEOS {shapely.geos_version_string}")


def block(*bump):
    """A rectangle of 1000 x 500 with a bump on its upper side."""
    return Polygon([(0, 0), (1000, 0), (1000, 500), *bump, (0, 500)])


needle = block((501, 500), (500.5, 699), (500, 500))
flat = block((700, 500), (500, 501), (300, 500))
seen = {}
for name, outline in (("needle", needle), ("bump", flat)):
    coverage, plain = shapely.coverage_simplify([outline], 10)[0], shapely.simplify(outline, 10)
    corners = len(coverage.exterior.coords) - 1, len(plain.exterior.coords) - 1
    moved = round(shapely.hausdorff_distance(outline, coverage), 2)
    seen[name] = (*corners, moved)
    print(f"{name}: {corners[0]} corners by coverage_simplify, {corners[1]} by simplify; moved by {moved}")

disc = shapely.Point(0, 0).buffer(100, quad_segs=64)
square = shapely.box(-500, -500, 500, 500).difference(disc)
for tolerance in (1, 10, 50, 100, 1_000, 1_000_000):
    island, rest = shapely.coverage_simplify([disc, square], tolerance)
    corners, share = len(island.exterior.coords) - 1, island.area / disc.area
    seen[tolerance] = corners, round(share, 2), bool(shapely.coverage_is_valid([island, rest]))
    print(f"disc at {tolerance}: {corners} corners, {share:.0%} of its area")
stated = {"needle": (4, 7, 199.0), "bump": (7, 4, 0.0), 1: (83, 1.0, True), 10: (17, 0.97, True)}
stated |= {50: (5, 0.72, True), 100: (3, 0.37, True), 1_000: (3, 0.37, True), 1_000_000: (3, 0.37, True)}
sys.exit(0 if seen == stated else f"CHANGED: no longer as the header of this script states: {seen}")
PYTHON
echo "As stated: the tolerance is no distance, and an island never vanishes."
