"""The data of a training: sources, the part kept out, draws, augmentation."""
