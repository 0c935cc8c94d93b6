"""Files of suggestions."""

from __future__ import annotations

from pathlib import Path

from helpers.dicom_slides import Written, write_level
from helpers.zarrs import RGB, write_zarr

from wsi_seg.suggestion.write_drawings import paths_for


def test_each_slide_has_a_file_that_is_named_as_its_result_is(tmp_path: Path) -> None:
    slides = [tmp_path / "a.svs", write_zarr(tmp_path / "b.ome.zarr"), tmp_path / "other" / "A.tiff"]
    for number, case in enumerate(("case-1", "case-2"), start=1):
        (tmp_path / case).mkdir()
        how = Written(series=f"1.2.{number}", number=number)
        slides.append(write_level(tmp_path / case / "l0.dcm", RGB[:64, :64], how=how))
    named = [path.name for path in paths_for(tmp_path / "next.geojson", slides)]
    assert named == [f"next-{name}.geojson" for name in ("a", "b", "A-2", "case-1", "case-2")]
    assert paths_for(tmp_path / "next.geojson", slides[:1]) == [tmp_path / "next.geojson"]
