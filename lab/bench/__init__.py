"""./run bench: what postfleet costs, as ratios against named references in one run."""
