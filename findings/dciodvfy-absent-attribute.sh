#!/usr/bin/env bash
# dciodvfy: two-dimensional annotations are faulted for an attribute that they do not have.
#
# Versions:  dicom3tools 1.00~20220618093127-2 (Debian 12), highdicom 0.28.2, pydicom 3.0.2
# Seen:      Microscopy Bulk Simple Annotations whose AnnotationCoordinateType is 2D: for every group "Error -
#            </AnnotationGroupSequence(006a,0002)[1]/CommonZCoordinateValue(006a,0010)> - Only valid for
#            AnnotationCoordinateType of 3D". No group has a CommonZCoordinateValue. With points in three dimensions of
#            one depth, where the attribute is, there is no such error.
# Why:       PS3.3 C.37.1.2 has it where all z are equal and AnnotationCoordinateType is 3D. What is looked at is not
#            whether it is there.
# Do:        pass over that line; look whether the attribute is there.
set -euo pipefail
command -v dciodvfy >/dev/null || { echo "dciodvfy is absent: apt-get install dicom3tools" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import subprocess
import sys

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes

ROOT = "1.2.826.0.1.3680043.8.498.7"
print("highdicom", hd.__version__)


def slide():
    """What annotations ask of the slide that they are of."""
    data = Dataset()
    for name, value in {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6",
        "SOPInstanceUID": f"{ROOT}.1",
        "StudyInstanceUID": f"{ROOT}.2",
        "SeriesInstanceUID": f"{ROOT}.3",
        "FrameOfReferenceUID": f"{ROOT}.4",
        "PositionReferenceIndicator": "SLIDE_CORNER",
        "Modality": "SM",
        **dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"), ""),
        **dict.fromkeys(("AccessionNumber", "StudyDate", "StudyTime", "ReferringPhysicianName"), ""),
    }.items():
        setattr(data, name, value)
    return data


def annotations(points, kind):
    group = hd.ann.AnnotationGroup(
        number=1,
        uid=f"{ROOT}.5",
        label="nucleus",
        annotated_property_category=codes.SCT.AnatomicalStructure,
        annotated_property_type=codes.SCT.Cell,
        graphic_type="POLYGON",
        graphic_data=[points],
        algorithm_type="MANUAL",
    )
    return hd.ann.MicroscopyBulkSimpleAnnotations(
        source_images=[slide()],
        annotation_coordinate_type=kind,
        annotation_groups=[group],
        series_instance_uid=f"{ROOT}.6",
        series_number=1,
        sop_instance_uid=f"{ROOT}.7",
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )


seen = {}
flat = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
for kind, points in (("2D", flat), ("3D", np.column_stack([flat, np.zeros(3)]))):
    data = annotations(points, kind)
    data.save_as(f"{kind}.dcm")
    there = "CommonZCoordinateValue" in data.AnnotationGroupSequence[0]
    ended = subprocess.run(["dciodvfy", "-new", f"{kind}.dcm"], capture_output=True, text=True)
    said = [line for line in ended.stderr.splitlines() if "CommonZ" in line]
    print(f"{kind}: the attribute is there: {there}; {said}")
    seen[kind] = (there, bool(said))
sys.exit("not as stated: the note is out of date" if seen != {"2D": (False, True), "3D": (True, False)} else 0)
PYTHON
echo "as stated"
