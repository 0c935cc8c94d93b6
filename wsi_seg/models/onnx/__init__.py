"""Networks of others, as ONNX files: checked, tried out, and kept whole in a model file."""
