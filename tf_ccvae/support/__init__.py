"""Files, figures, the start of TensorFlow, the version: what everything else leans on."""
