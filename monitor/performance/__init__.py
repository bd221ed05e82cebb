"""How well the model did on a window's rows whose target is known: measures of regression, of labels and of class probabilities."""
