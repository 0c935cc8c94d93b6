"""What a slide's tissue looks like, beside the tissue that a model was trained on."""
