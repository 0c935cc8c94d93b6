"""Cityscapes, CamVid and PASCAL VOC: their folders, scores and submissions."""
