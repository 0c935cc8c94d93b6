from __future__ import annotations

from pathlib import Path

import pytest

from wsi_seg.batch import collect_jobs, is_plain_image
from wsi_seg.errors import SlideError, UsageError


def names(*jobs_of: Path, out: Path = Path("out")) -> list[str]:
    return [job.out.name for job in collect_jobs(jobs_of, out, None)]


def test_a_result_is_named_after_its_slide(tmp_path: Path) -> None:
    assert names(tmp_path / "a.svs", tmp_path / "b.ndpi") == ["a", "b"]


def test_slides_of_one_name_get_results_of_their_own(tmp_path: Path) -> None:
    assert names(tmp_path / "a.svs", tmp_path / "a.ndpi") == ["a.svs", "a.ndpi"]
    assert names(tmp_path / "x" / "a.svs", tmp_path / "y" / "a.svs") == ["x__a.svs", "y__a.svs"]
    with pytest.raises(UsageError, match="-o"):
        names(tmp_path / "1" / "x" / "a.svs", tmp_path / "2" / "x" / "a.svs")


def test_a_slide_named_twice_is_done_once(tmp_path: Path) -> None:
    assert names(tmp_path / "a.svs", tmp_path / "a.svs") == ["a"]


def test_a_dicom_series_is_one_slide(shared_data: Path) -> None:
    folder = shared_data / "slides" / "CMU-1-Small-Region_dicom"
    assert len(list(folder.glob("*.dcm"))) == 4
    jobs = collect_jobs([folder], Path("out"), None)
    assert [job.out.name for job in jobs] == ["CMU-1-Small-Region_dicom"]


def test_a_folder_without_slides_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SlideError, match="no slide"):
        collect_jobs([tmp_path], Path("out"), None)


@pytest.mark.parametrize(
    "content", ["", "name,mpp\na.svs,1\n", "slide,mpp\n,1\n", "slide,mpp\na.svs,x\n", "\xff"]
)
def test_a_csv_that_is_none_is_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "slides.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=r"slides\.csv"):
        collect_jobs([path], Path("out"), None)


def test_plain_images_are_told_from_slides(shared_data: Path, slide_path: Path) -> None:
    assert is_plain_image(Path("street.png"))
    assert not is_plain_image(Path("slide.svs"))
    assert not is_plain_image(slide_path)
    assert not is_plain_image(shared_data / "slides" / "breast_A03.tiff")


def test_a_resolution_in_a_csv_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "slides.csv").write_text("slide,mpp\na.svs,\nb.svs,0\nc.svs,0.25\n")
    assert [job.mpp for job in collect_jobs([tmp_path / "slides.csv"], Path("out"), 0.5)] == [0.5, 0, 0.25]
