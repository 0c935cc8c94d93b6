#!/usr/bin/env bash
# ONNX Runtime: whether a session flushes subnormal numbers is decided by the first session of the process.
#
# Versions:  onnxruntime 1.32.0, onnx 1.23.2, on x86-64
# Seen:      a model that multiplies 1e-30 by 1e-10, in sessions with session.set_denormal_as_zero set (on) or
#            not (off), one after the other in one process; a result of 0 means flushed:
#              on            flushed               off, then on    neither: the second asks in vain
#              off           not flushed           on, then off    both: the second is changed unasked
#            No warning, and the session's options still read as they were set.
# Why:       an option of a session acts on the process. Loading any other model first, be it a thumbnail's
#            classifier, makes a network with subnormal weights slow again, or changes another's numbers.
# Do:        clear subnormal weights before the export; then the option is not needed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$dir"
cat > sessions.py <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

SHAPE = [4096]
graph = helper.make_graph(
    [helper.make_node("Mul", ["x", "weight"], ["y"])],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
    [helper.make_tensor("weight", TensorProto.FLOAT, [1], [1e-10])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
for asked in sys.argv[1:]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if asked == "on":
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.full(SHAPE, 1e-30, np.float32)})
    print("kept" if y.all() else "flushed" if not y.any() else "mixed", end=" ")
PYTHON
venv/bin/python -c 'import onnxruntime; print("onnxruntime", onnxruntime.__version__)'
as_stated=yes
check() {
  local seen
  seen=$(venv/bin/python sessions.py $1)
  echo "sessions: $1 -> ${seen% }"
  [[ ${seen% } == "$2" ]] || as_stated=no
}
check "on" "flushed"
check "off" "kept"
check "off on" "kept kept"
check "on off" "flushed flushed"
if [[ $as_stated == no ]]; then
  echo "CHANGED: no longer as the header of this script states" >&2
  exit 1
fi
echo "As stated: the first session decides for all."
