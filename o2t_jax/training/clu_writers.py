"""CLU's metric writers without TensorFlow.

`clu.metric_writers` imports its TensorFlow writer when it is itself imported, although nothing else in it needs
TensorFlow. TensorFlow is 1.4 GB, takes 13 s to import, and an installed one may fail to import. We therefore put an
empty module in that writer's place first; the rest of CLU works unchanged. Import the names from here, never from
`clu.metric_writers`.
"""

from __future__ import annotations

import sys
import types

_TENSORFLOW_WRITER = "clu.metric_writers.summary_writer"

if _TENSORFLOW_WRITER not in sys.modules:  # else the user's own program has imported CLU with TensorFlow
    _stub = types.ModuleType(_TENSORFLOW_WRITER, "Replaces CLU's TensorFlow writer.")
    _stub.SummaryWriter = None  # type: ignore[attr-defined]
    sys.modules[_TENSORFLOW_WRITER] = _stub

from clu.metric_writers import MetricWriter, MultiWriter, ensure_flushes  # noqa: E402 - the stub must be first

__all__ = ["MetricWriter", "MultiWriter", "ensure_flushes"]
