"""Results as DICOM, beside the DICOM slide that they are of: segmentations and annotations.

`dicom_slide.py` finds the slide and reads how it lies, `coded_classes.py` codes the classes, `made_by.py`
says who made a file. highdicom makes of that what stands before pixels and points, and these are
streamed after it.
"""
