#!/usr/bin/env bash
# After torch.set_flush_denormal(True), one tensor operation flushes one half of its elements and not the other.
#
# Versions:  torch 2.13.0, on x86-64 with two cores or more
# Seen:      x * 1e-10 for a million elements of 1e-30, by two threads. The product, 1e-40, is subnormal:
#              set before the tensor is made   no element is left
#              set after it was made           exactly half of the elements are left, the other half is 0
#            The call returns True both times. The flag belongs to a thread; threads that run already, those of
#            the pool, never hear of it, and new ones inherit it.
# Why:       the numbers depend on which thread computed them, and where subnormal numbers are slow, half of the
#            work stays slow, as with the subnormal weights that released networks hold by the thousand. Making one
#            tensor before the call is enough.
# Do:        clear subnormal weights in the model itself when it is loaded; then no flag is needed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$dir"
cat > flush.py <<'PYTHON'
import sys

import torch

torch.set_num_threads(2)
taken = sys.argv[1] == "early" and torch.set_flush_denormal(True)
tiny = torch.full((1 << 20,), 1e-30)  # large enough to be shared out: here the pool starts
taken = taken or torch.set_flush_denormal(True)
left = (tiny * 1e-10).ne(0).double().mean().item()
print(taken, left)
PYTHON
early=$(venv/bin/python flush.py early)
late=$(venv/bin/python flush.py late)
venv/bin/python -c 'import torch; print("torch", torch.__version__)'
echo "set before the tensor is made: call says, share left: $early"
echo "set after it was made:         call says, share left: $late"
if [[ $early != "True 0.0" || $late != "True 0.5" ]]; then
  echo "CHANGED: no longer as the header of this script states" >&2
  exit 1
fi
echo "As stated: the flag reaches half of the elements."
