"""What a training sees: sources, what is kept out, draws, augmentation."""
