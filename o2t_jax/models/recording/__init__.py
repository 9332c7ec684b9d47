"""Networks that are trained on one film: the tower that sees its object, and the model that predicts it."""
