"""The toy with what only some systems have: a truth, a law, a buffer that fills, a signal to itself, big samples."""

import os
import signal

from tests.training.toy import Toy


class WorldlyToy(Toy):
    name = "worldly_toy"

    def train_iterator(self, request):
        request.progress(1, 1)
        return super().train_iterator(request)

    def points(self, step):
        if os.environ.get("TOY_SIGTERM_AT") == str(step):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().points(step)

    def __init__(self, config):
        super().__init__(config)
        self.readouts = {"law": self.read_law}

    def read_law(self, state):
        return {"g0": float(state.params["b"]), "alpha": None, "curve": [[0.0, 1.0], [0.1, 2.0]], "text": "line"}

    def activation_bytes(self, batch):
        return 10**8 * batch

    def truth(self):
        return {"b": self.config.slope}
