"""What a training is made of: building, the loop, callbacks, devices, trackers, and the run directory."""
