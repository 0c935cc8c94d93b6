"""Networks from ONNX files: checked, tried, and kept unchanged in a model file."""
