"""Everything that is no plain file is refused by name, wherever a file is asked for; nothing waits for it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.dicom_slides import NATIVE, Written, write_level
from helpers.qupath_projects import write_project_of
from helpers.zarrs import RGB, write_zarr

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.data.masks import read_content
from wsi_seg.data.pairs import read_pairs
from wsi_seg.data.tile_folders import read_lines
from wsi_seg.errors import OutputError, SlideError, WsiSegError
from wsi_seg.files.digests import digest_file
from wsi_seg.files.document import read_object
from wsi_seg.files.plain_files import MAX_TEXT_BYTES, in_words, open_plain, read_plain
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.lookup import resolve_model
from wsi_seg.models.upstream import read_state_dict
from wsi_seg.pipelines import load_pipeline
from wsi_seg.predict.jobs import collect_jobs, is_plain_image
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.slides.picture import read_rgb, verified_size
from wsi_seg.slides.readers.dicom import read_dicom_header
from wsi_seg.slides.slide import Slide


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """End a test that waits for a pipe."""

    def waited(*_: object) -> None:
        raise AssertionError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "slide": ("x.svs", Slide),
    "picture": ("x.png", read_rgb),
    "picture's size": ("x.png", verified_size),
    "mask": ("x.png", read_content),
    "annotations": ("x.geojson", read_annotations),
    "model": ("x.safetensors", lambda path: resolve_model(str(path))),
    "model's bytes": ("x.safetensors", load_bundle),
    "checkpoint": ("x.pth", read_state_dict),
    "recipe": ("x.yaml", lambda path: load_pipeline(str(path))),
    "class schema": ("x.yaml", lambda path: load_schema(str(path))),
    "list of slides": ("x.csv", lambda path: collect_jobs([path], Path("out"), None)),
    "list of pairs": ("x.csv", lambda path: read_pairs([path])),
    "slide of a pair": ("x.svs", lambda path: read_pairs([path, path])),
    "list of tiles": ("train.txt", read_lines),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_refused_by_every_reader(kind: str, tmp_path: Path) -> None:
    name, read = READERS[kind]
    path = pipe(tmp_path / name)
    with pytest.raises(WsiSegError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "is a pipe, not a file" in line
    assert "\n" not in line


def zarr_with_a_pipe(folder: Path) -> tuple[Path, Path]:
    path = write_zarr(folder / "s.ome.zarr")
    chunk = next(file for file in sorted((path / "0").rglob("*")) if file.is_file() and file.suffix == "")
    chunk.unlink()
    return path, pipe(chunk)


def zarr_with_a_link_to_a_pipe(folder: Path) -> tuple[Path, Path]:
    path = write_zarr(folder / "s.ome.zarr", ngff="0.4")
    (path / "0" / "9").symlink_to(pipe(folder / "pipe"))
    return path, path / "0" / "9"


def zarr_whose_metadata_is_a_pipe(folder: Path) -> tuple[Path, Path]:
    path = write_zarr(folder / "s.ome.zarr")
    (path / "0" / "zarr.json").unlink()
    return path, pipe(path / "0" / "zarr.json")


def dicom_beside_a_pipe(folder: Path) -> tuple[Path, Path]:
    return write_level(folder / "a.dcm", RGB, how=Written(syntax=NATIVE)), pipe(folder / "any")


def mirax_with_a_pipe(folder: Path) -> tuple[Path, Path]:
    (folder / "a").mkdir()
    (folder / "a.mrxs").write_bytes(b"a preview")
    return folder / "a.mrxs", pipe(folder / "a" / "Data0000.dat")


def image_of_a_project(folder: Path) -> tuple[Path, Path]:
    path = pipe(folder / "a.tif")
    return write_project_of(folder / "project" / "project.qpproj", path), path


@pytest.mark.parametrize(
    "make",
    [
        zarr_with_a_pipe,
        zarr_with_a_link_to_a_pipe,
        zarr_whose_metadata_is_a_pipe,
        dicom_beside_a_pipe,
        mirax_with_a_pipe,
        image_of_a_project,
    ],
)
def test_a_pipe_among_a_slides_files_is_not_waited_for(
    make: Callable[[Path], tuple[Path, Path]], tmp_path: Path
) -> None:
    slide, path = make(tmp_path)
    jobs = collect_jobs([slide], tmp_path / "out", None).jobs
    with pytest.raises(SlideError) as caught:
        Slide(slide) if jobs[0].entry is None else jobs[0].entry.open()
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "is a pipe" in line
    assert "\n" not in line


def test_a_pipe_in_a_result_is_not_waited_for(tmp_path: Path) -> None:
    path = pipe(tmp_path / "summary.json")
    with pytest.raises(OSError, match="is a pipe, not a file"):
        digest_file(path)
    with pytest.raises(
        OutputError, match=r"summary\.json: cannot be read \(is a pipe, not a file\): copy it"
    ):
        read_object(path, "copy it")


def test_a_pipe_is_looked_at_as_nothing_else(tmp_path: Path) -> None:
    path = pipe(tmp_path / "x.tiff")
    assert not is_plain_image(path, for_slides=False)
    assert read_dicom_header(path) is None
    report = check_file(pipe(tmp_path / "x.geojson"))
    assert [fault.what for fault in report.faults] == ["cannot be read (is a pipe, not a file)"]


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="no such device here")
@pytest.mark.parametrize("kind", ["slide", "picture", "mask", "annotations", "model", "checkpoint"])
def test_a_device_that_never_ends_is_refused(kind: str) -> None:
    with pytest.raises(WsiSegError, match=r"^/dev/zero: .*is a device, not a file"):
        READERS[kind][1](Path("/dev/zero"))


def test_sockets_and_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match="is a socket, not a file"):
            open_plain(Path("socket"))
    with pytest.raises(OSError, match="is a folder"):
        open_plain(tmp_path)


def test_what_is_exchanged_for_a_pipe_meanwhile_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipe(tmp_path / "pipe")
    monkeypatch.setattr("wsi_seg.files.plain_files.check_plain", lambda _: None)
    with pytest.raises(OSError, match="is a pipe, not a file"):
        open_plain(path)


def test_a_file_is_read_as_far_as_its_kind_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    with pytest.raises(OSError, match="holds more than 4 bytes"):
        read_plain(path, 4)
    assert in_words(MAX_TEXT_BYTES) == "16 MiB"


def test_a_long_text_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsi_seg.files.plain_files.MAX_TEXT_BYTES", 100)
    path = tmp_path / "x.yaml"
    path.write_text("#" * 101)
    with pytest.raises(WsiSegError, match=r"x.yaml: cannot be read \(holds more than 100 bytes\)"):
        load_pipeline(str(path))
