"""CLU's metric writers without TensorFlow.

`clu.metric_writers` imports its TensorFlow writer when it is itself imported, though nothing else in it needs
TensorFlow (1.4 GB, 13 s to import; and one that is installed may not import at all). So an empty module is seated in
that writer's place first; the rest of CLU then works as it is. Import the names from here, never from
`clu.metric_writers`.
"""

from __future__ import annotations

import sys
import types

_TENSORFLOW_WRITER = "clu.metric_writers.summary_writer"

if _TENSORFLOW_WRITER not in sys.modules:  # else the user's own program has imported CLU with TensorFlow
    _stub = types.ModuleType(_TENSORFLOW_WRITER, "Stands in for CLU's TensorFlow writer.")
    _stub.SummaryWriter = None  # type: ignore[attr-defined]
    sys.modules[_TENSORFLOW_WRITER] = _stub

from clu.metric_writers import MetricWriter, MultiWriter, ensure_flushes  # noqa: E402 - the stub must be first

__all__ = ["MetricWriter", "MultiWriter", "ensure_flushes"]
